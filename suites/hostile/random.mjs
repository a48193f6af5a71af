import { createHash } from 'node:crypto'

/** Repeatable numbers out of a seed (splitmix32). */
export class Random {
  #state

  constructor(key) {
    this.#state = createHash('sha256').update(key).digest().readUInt32LE(0)
  }

  word() {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }

  /** An integer from 0 to `bound - 1`. */
  below(bound) {
    return Math.floor((this.word() / 2 ** 32) * bound)
  }

  /** Small ones are as likely as large ones: by their number of bits. */
  skewed(bound) {
    return this.below(Math.min(bound, 2 ** this.below(Math.ceil(Math.log2(bound)) + 1)))
  }

  pick(from) {
    return from[this.below(from.length)]
  }
}
