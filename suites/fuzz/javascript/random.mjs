/** A small generator of repeatable numbers (splitmix32), and what is made of them. */
export class Random {
  #state

  constructor(seed) {
    this.#state = seed | 0
  }

  next() {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }

  /** An integer from 0 to `bound - 1`. */
  below(bound) {
    return Math.floor((this.next() / 2 ** 32) * bound)
  }

  pick(from) {
    return from[this.below(from.length)]
  }

  /** True once in so many times. */
  once(inSoMany) {
    return this.below(inSoMany) === 0
  }
}
