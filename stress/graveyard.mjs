import { poison, poisoned } from './scratch.mjs'

/** How long memory is watched after its end. */
const WATCHED_MS = 4000
const MOST = 12

/** Memory whose fence holds, or whose operations have ended: poisoned, and watched for whoever still touches it. */
export class Graveyard {
  #graves = []
  #ledger

  constructor(ledger) {
    this.#ledger = ledger
  }

  bury(what, bytes) {
    poison(bytes)
    this.#graves.push({ what, bytes, since: performance.now() })
    if (this.#graves.length > MOST) this.#look(this.#graves.shift())
  }

  /** Looks at all of it, and forgets what has lain long enough. */
  watch() {
    const now = performance.now()
    for (const grave of this.#graves) this.#look(grave)
    this.#graves = this.#graves.filter(({ since }) => now - since < WATCHED_MS)
  }

  close() {
    this.watch()
    this.#graves = []
  }

  #look({ what, bytes, since }) {
    const touched = poisoned(bytes)
    if (touched === undefined) return
    poison(bytes)
    this.#ledger.fail(`${what} was touched after its end, ${Math.round(performance.now() - since)} ms ago or less: ${touched}`)
  }
}
