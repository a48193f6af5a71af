/** Bytes that differ from offset to offset, so that bytes from the wrong place are found. */
export const MIB = 1 << 20
export const GIB = 2 ** 30

const PERIOD = 251

/** The byte that belongs at `offset`; a prime period, so that no power of two repeats it. */
const at = (offset) => (offset % PERIOD) + 1

export function fillPattern(memory) {
  for (let offset = 0; offset < Math.min(PERIOD, memory.length); offset++) memory[offset] = at(offset)
  for (let filled = PERIOD; filled < memory.length; filled *= 2) memory.copyWithin(filled, 0, filled)
}

export function differsAt(memory, offset) {
  return memory[offset] !== at(offset)
}

/** The first offset whose byte is not the pattern's, or -1. */
export function firstDifference(memory) {
  for (let offset = 0; offset < memory.length; offset++) if (differsAt(memory, offset)) return offset
  return -1
}

/** Throws when there is a first difference: an `operation` moved a byte that is not the pattern's. */
export function refuse({ offset }, operation) {
  if (offset >= 0) throw new Error(`a ${operation} moved a wrong byte at offset ${offset}`)
}
