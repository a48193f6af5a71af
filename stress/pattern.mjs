/**
 * Bytes that say whose they are: 16 at a time hold the writer's mark, the number of its operation, their own place, and a
 * checksum of the three. Any byte of it follows from mark, number and place.
 */
import { describeMark } from './layout.mjs'

export const GRAIN = 16

function check(mark, operation, place) {
  let hash = Math.imul(mark ^ 0x5bd1e995, 0x21f0aaad)
  hash = Math.imul(hash ^ operation ^ (hash >>> 15), 0x735a2d97)
  hash = Math.imul(hash ^ place ^ (hash >>> 13), 0x2c1b3c6d)
  return hash ^ (hash >>> 16)
}

/** The bytes from `from` on that `operation` of `mark` writes there. */
export function pattern(mark, operation, from, length) {
  const first = Math.floor(from / GRAIN)
  const last = Math.ceil((from + length) / GRAIN)
  const words = new Int32Array((last - first) * 4)
  for (let place = first, at = 0; place < last; place++, at += 4) {
    words[at] = mark
    words[at + 1] = operation
    words[at + 2] = place
    words[at + 3] = check(mark, operation, place)
  }
  return new Uint8Array(words.buffer, from - first * GRAIN, length)
}

/** Whether two byte sequences are the same. */
export function same(one, other) {
  return Buffer.compare(one, other) === 0
}

/** The whole grains of `bytes`, which lie at `from` of something, that are somebody's. */
export function* grains(bytes, from) {
  const start = (GRAIN - (from % GRAIN)) % GRAIN
  const whole = Math.floor((bytes.byteLength - start) / GRAIN)
  if (whole <= 0) return
  const copy = (bytes.byteOffset + start) % 4 === 0 ? bytes.subarray(start) : bytes.slice(start)
  const words = new Int32Array(copy.buffer, copy.byteOffset, whole * 4)
  for (let at = 0; at < words.length; at += 4) {
    const [mark, operation, place] = [words[at], words[at + 1], words[at + 2]]
    if (mark !== 0 && words[at + 3] === check(mark, operation, place)) yield { at: start + at * 4, mark, operation, place }
  }
}

/** In words, how `bytes` at `from` differ from what should be there: where, how much, and whose the foreign bytes are. */
export function explain(bytes, expected, from) {
  const wrong = []
  for (let at = 0; at < bytes.byteLength; at++) if (bytes[at] !== expected[at]) wrong.push(at)
  if (wrong.length === 0) return `${bytes.byteLength} bytes instead of ${expected.byteLength}`
  const [first, last] = [wrong[0], wrong.at(-1)]
  const foreign = new Set()
  for (const { at, mark, operation, place } of grains(bytes, from)) {
    if (at + GRAIN <= first || at > last || same(bytes.subarray(at, at + GRAIN), expected.subarray(at, at + GRAIN))) continue
    const shift = place * GRAIN === from + at ? '' : `, meant for ${place * GRAIN}`
    foreign.add(`operation ${operation} of ${describeMark(mark)}${shift}`)
    if (foreign.size === 3) break
  }
  const values = [...new Set(wrong.slice(0, 4096).map((at) => bytes[at]))]
  const whose = foreign.size > 0 ? [...foreign].join('; ') : values.length === 1 ? `all 0x${values[0].toString(16)}` : 'of nobody known'
  return `${wrong.length} of ${bytes.byteLength} bytes wrong, from ${from + first} to ${from + last}: ${whose}`
}
