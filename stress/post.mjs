import { describeMark, KINDS, WORKER } from './layout.mjs'

/** Messages of a run: what was sent against what came. Only what has no counterpart yet is kept. */
export class Post {
  #missing = new Map()
  #early = new Map()

  /** @param given.sent given.received numbers by mark, told by one process since it told last */
  take({ sent, received }) {
    for (const [mark, numbers] of sent) this.#match(mark, numbers, this.#early, this.#missing)
    // Workers, which end in the middle of anything, do not tell what they have sent.
    const told = received.filter(([mark]) => ((mark >>> 16) & 255) !== WORKER)
    for (const [mark, numbers] of told) this.#match(mark, numbers, this.#missing, this.#early)
  }

  #match(mark, numbers, wanted, other) {
    for (const number of numbers) {
      if (wanted.get(mark)?.delete(number)) continue
      if (!other.has(mark)) other.set(mark, new Set())
      other.get(mark).add(number)
    }
  }

  /** Messages whose send succeeded and which nobody received, in words. Those of a stream may be lost when its loop is left. */
  get lost() {
    const messages = [...this.#missing].filter(([mark]) => (mark & 255) === KINDS.message)
    return messages.flatMap(([mark, numbers]) => [...numbers].map((number) => `message ${number} of ${describeMark(mark)} was sent and never received`))
  }
}
