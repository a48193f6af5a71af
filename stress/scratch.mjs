import { explain } from './pattern.mjs'

const POISON = 0xa5
const GUARD = 64

/** Memory of one actor's, all poison but for the ranges that operations under way have. */
export class Scratch {
  #bytes
  #used = 0

  /** @param region its memory */
  constructor(region) {
    this.region = region
    this.#bytes = new Uint8Array(region.buffer).fill(POISON)
  }

  /** Room for an operation of `length` bytes, with a guard on both sides. */
  take(length) {
    const offset = this.#used + GUARD
    this.#used = offset + length + GUARD
    if (this.#used > this.#bytes.byteLength) throw new Error(`the plan wants more than ${this.#bytes.byteLength} bytes of scratch`)
    const bytes = () => this.#bytes.subarray(offset, offset + length)
    return {
      offset,
      length,
      get bytes() {
        return bytes()
      },
    }
  }

  /** Gives the memory itself away, whose fence holds; operations that have ended are looked at in a copy. */
  leave() {
    const bytes = this.#bytes
    this.#bytes = bytes.slice(0, this.#used)
    return bytes
  }

  /** Poisons what operations that have ended had: from now on nobody may touch it. */
  retire({ bytes }) {
    bytes.fill(POISON)
  }

  /** In words, which bytes were touched that no operation has. All of them are free again. */
  sweep() {
    const used = this.#bytes.subarray(0, this.#used)
    this.#used = 0
    return poisoned(used)
  }
}

/** A view with guards in the same buffer, all poison. */
export function guardedView(length) {
  const whole = new Uint8Array(length + 2 * GUARD).fill(POISON)
  return { whole, bytes: whole.subarray(GUARD, GUARD + length) }
}

/** In words, which bytes of the guards were touched. */
export function guardsOf({ whole }) {
  return poisoned(whole.subarray(0, GUARD)) ?? poisoned(whole.subarray(whole.byteLength - GUARD))
}

export function poison(bytes) {
  bytes.fill(POISON)
}

const BLANK = Buffer.alloc(1 << 20, POISON)

/** In words, which bytes are no poison any more; of more than a mebibyte the first that has any. */
export function poisoned(bytes) {
  for (let from = 0; from < bytes.byteLength; from += BLANK.byteLength) {
    const part = bytes.subarray(from, from + BLANK.byteLength)
    const expected = BLANK.subarray(0, part.byteLength)
    if (Buffer.compare(part, expected) !== 0) return explain(part, expected, from)
  }
  return undefined
}
