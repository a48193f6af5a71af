/** What is written and read: bytes that follow from who wrote them, and nothing else. */

/** One writer's place in the region `cells`: bytes of its own, and a gap that nobody writes. */
export const CELL = { bytes: 40, stride: 64 }
export const FACTS = 1 << 16
/** More than one piece, so that several lanes carry it. */
export const LARGE = 3 << 20

export function cellBytes(slot, number) {
  return Uint8Array.from({ length: CELL.bytes }, (_, at) => 1 + ((slot * 31 + number * 17 + at * 7) % 255))
}

const facts = Uint8Array.from({ length: FACTS }, (_, at) => (at * 13 + (at >> 8)) & 255)

export function factBytes(from, length) {
  return facts.subarray(from, from + length)
}

export function largeBytes(slot, number) {
  const words = new Uint32Array(LARGE / 4)
  let state = (slot * 2_654_435_761 + number * 40_503 + 1) >>> 0
  for (let at = 0; at < words.length; at++) words[at] = state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return new Uint8Array(words.buffer)
}
