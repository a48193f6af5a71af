/** Bytes that differ from offset to offset, so that bytes from the wrong place are found; a prime period, so that no power of two repeats it. */
const PERIOD = 251

const at = (offset: number): number => (offset % PERIOD) + 1

export function fillPattern(memory: Uint8Array): void {
  for (let offset = 0; offset < Math.min(PERIOD, memory.length); offset++) memory[offset] = at(offset)
  for (let filled = PERIOD; filled < memory.length; filled *= 2) memory.copyWithin(filled, 0, filled)
}

/** The first offset whose byte is not the pattern's, or -1. */
export function firstDifference(memory: Uint8Array): number {
  for (let offset = 0; offset < memory.length; offset++) if (memory[offset] !== at(offset)) return offset
  return -1
}
