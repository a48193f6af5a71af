import { harmless, type Screen } from '../screen.js'
import { durationText, rateText, sizeText } from '../units.js'
import type { Outcome } from './part.js'
import type { Progress } from './progress.js'

/** More lines than this nobody reads. */
const MOST_LINES = 20

/** What a pull has come to. */
export class Report {
  readonly #screen: Screen
  readonly #peer: string
  readonly #output: string
  readonly #start = performance.now()
  readonly #outcomes = new Map<string, { outcome: Outcome; wasThere: boolean }>()
  readonly #paths = new Set<string>()

  constructor(screen: Screen, peer: string, output: string) {
    this.#screen = screen
    this.#peer = peer
    this.#output = output
  }

  /** Something beside the result. */
  note(text: string): void {
    this.#screen.note(`memlane pull: ${text}`)
  }

  /** Whether this pull has made that file. */
  has(path: string): boolean {
    return this.#paths.has(path)
  }

  /** A file has its name. */
  finished(outcomes: readonly Outcome[]): void {
    this.#add(outcomes, false)
  }

  /** A file was there already, as it should be. */
  wasThere(outcomes: readonly Outcome[]): void {
    this.#add(outcomes, true)
  }

  #add(outcomes: readonly Outcome[], wasThere: boolean): void {
    for (const outcome of outcomes) {
      this.#outcomes.set(outcome.item.name, { outcome, wasThere })
      this.#paths.add(outcome.path)
      if (this.#outcomes.size <= MOST_LINES) this.#screen.line(`  ${harmless(outcome.item.name)}  ${sizeText(outcome.item.bytes)}${shownSum(outcome)}${wasThere ? ', already there' : ''}`)
      else if (this.#outcomes.size === MOST_LINES + 1) this.#screen.line('  …')
    }
  }

  end(): void {
    const all = [...this.#outcomes.values()]
    const milliseconds = performance.now() - this.#start
    const bytes = all.reduce((sum, { outcome, wasThere }) => (wasThere ? sum : sum + outcome.item.bytes), 0)
    const resumed = all.reduce((sum, { outcome, wasThere }) => (wasThere ? sum : sum + outcome.resumed), 0)
    const there = all.filter(({ wasThere }) => wasThere).length
    const isVerified = all.length > 0 && all.every(({ outcome }) => outcome.verified)
    const pulled = all.length - there
    const parts = [
      `pulled ${pulled === 1 ? '1 region' : `${pulled} regions`}, ${sizeText(bytes)} in ${durationText(milliseconds)}${bytes > resumed ? ` (${rateText(((bytes - resumed) * 1000) / milliseconds)})` : ''}`,
      ...(resumed > 0 ? [`${sizeText(resumed)} were there from before`] : []),
      ...(there > 0 ? [`${there} already there`] : []),
      isVerified ? this.#screen.styled('green', 'verified by SHA-256') : this.#screen.styled('yellow', 'not verified'),
    ]
    this.#screen.line(`${parts.join(', ')}: ${harmless(this.#output)}`)
    this.#screen.document({
      peer: this.#peer,
      output: this.#output,
      bytes,
      resumed,
      seconds: milliseconds / 1000,
      verified: isVerified,
      regions: all.map(({ outcome: { item, path, sha256, verified, seconds, resumed: before }, wasThere }) => ({
        name: item.name,
        file: path,
        bytes: item.bytes,
        seconds,
        sha256: sha256 ?? null,
        verified,
        resumed: before,
        already_there: wasThere,
      })),
    })
  }

  /** It was given up by whoever started it. */
  interrupted({ done, total, text }: Progress): void {
    this.#screen.note(`interrupted: ${text} are here; the same command goes on from there`)
    this.#screen.document({ interrupted: true, peer: this.#peer, output: this.#output, bytes: done, total })
  }
}

function shownSum({ sha256, verified }: Outcome): string {
  if (sha256 === undefined) return '  not verified'
  return `  sha256 ${sha256.slice(0, 16)}…${verified ? '' : ', not verified'}`
}
