import type { Screen } from '../screen.js'
import { durationText, rateText, sizeText } from '../units.js'

const PERIOD_MS = 100
/** The rate is that of so long ago until now. */
const WINDOW_MS = 3000

/** How far a pull is; a line on the terminal. */
export class Progress {
  /** Bytes that are wanted, all together. */
  total = 0
  /** Bytes that are there; those of an earlier time too. */
  done = 0
  /** Bytes that were there before. */
  resumed = 0
  /** What is happening, where it is not the pulling itself. */
  status: string | undefined
  readonly #screen: Screen
  readonly #timer: NodeJS.Timeout
  readonly #marks: { at: number; done: number }[] = []

  constructor(screen: Screen) {
    this.#screen = screen
    this.#timer = setInterval(() => this.#tell(), PERIOD_MS)
    this.#timer.unref()
  }

  end(): void {
    clearInterval(this.#timer)
    this.#screen.clear()
  }

  /** `1.20 GiB of 3.40 GiB`. */
  get text(): string {
    return `${sizeText(this.done)} of ${sizeText(this.total)}`
  }

  #tell(): void {
    const now = performance.now()
    this.#marks.push({ at: now, done: this.done })
    while ((this.#marks[0]?.at ?? now) < now - WINDOW_MS) this.#marks.shift()
    const [first = { at: now, done: this.done }] = this.#marks
    const rate = now > first.at ? ((this.done - first.done) * 1000) / (now - first.at) : 0
    const percent = this.total === 0 ? 100 : Math.floor((100 * this.done) / this.total)
    const left = rate > 0 && this.done < this.total ? `, ${durationText(((this.total - this.done) / rate) * 1000)} left` : ''
    const bar = `${'█'.repeat(Math.floor(percent / 5))}${'░'.repeat(20 - Math.floor(percent / 5))}`
    this.#screen.live(this.status === undefined || rate > 0 ? `${bar} ${percent} %  ${this.text}  ${rateText(rate)}${left}` : `${bar} ${percent} %  ${this.text}  ${this.status}`)
  }
}
