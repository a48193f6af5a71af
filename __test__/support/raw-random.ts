import { createHash, randomInt } from 'node:crypto'

/** The seed of this run: `MEMLANE_SEED` when given, else fresh. Tests log it, so that a failure can be replayed. */
export const seed = Number(process.env.MEMLANE_SEED ?? randomInt(2 ** 32)) >>> 0

/** `length` bytes that depend on `key` alone. `peer.py` makes the same ones. */
export function pattern(key: string, length: number): Buffer {
  return createHash('shake128', { outputLength: length }).update(key).digest()
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A small generator of repeatable numbers (splitmix32). */
export class Random {
  #state: number

  constructor(key: string) {
    this.#state = createHash('sha256').update(`${seed}/${key}`).digest().readUInt32LE(0)
  }

  /** An integer from 0 to `bound - 1`. */
  below(bound: number): number {
    return Math.floor((this.#next() / 2 ** 32) * bound)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  #next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
}
