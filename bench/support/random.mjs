/** A 32-bit hash of a list of integers. */
export function mix(...numbers) {
  let hash = 0x9e3779b9
  for (const number of numbers) {
    hash = Math.imul(hash ^ number, 0x21f0aaad)
    hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97)
    hash ^= hash >>> 13
  }
  return hash >>> 0
}

/** Repeatable numbers (splitmix32). Whoever is told the same numbers draws the same ones, whatever others draw meanwhile. */
export class Random {
  #state

  constructor(...key) {
    this.#state = mix(...key)
  }

  /** An integer from 0 to `bound - 1`. */
  below(bound) {
    return Math.floor((this.#next() / 2 ** 32) * bound)
  }

  /** An integer from `least` to `most`, both included. */
  between(least, most) {
    return least + this.below(most - least + 1)
  }

  /** An integer from 0 to `bound - 1`; small ones are as likely as large ones, by their number of bits. */
  skewed(bound) {
    return this.below(Math.min(bound, 2 ** this.below(Math.ceil(Math.log2(bound)) + 1)))
  }

  /** True once in `turns`. */
  once(turns) {
    return this.below(turns) === 0
  }

  pick(from) {
    return from[this.below(from.length)]
  }

  /** A key of `weights`, as often as its weight says. */
  weighted(weights) {
    const entries = Object.entries(weights)
    let left = this.below(entries.reduce((sum, [, weight]) => sum + weight, 0))
    for (const [key, weight] of entries) {
      if (left < weight) return key
      left -= weight
    }
    throw new Error('no weights')
  }

  /** A length from 1 to `most`, every order of magnitude as often as the others. */
  length(most) {
    return Math.max(1, Math.min(most, Math.floor(2 ** ((this.#next() / 2 ** 32) * Math.log2(most + 1)))))
  }

  /** A range of `length` bytes, or less, within `whole`. */
  range(whole, most) {
    const length = this.length(Math.min(whole, most))
    return { offset: this.below(whole - length + 1), length }
  }

  #next() {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
}
