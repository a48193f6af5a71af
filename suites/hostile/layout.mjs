/** The memory of a target: regions of each kind, every one between neighbours that nobody may touch. */
import { pattern } from './wire.mjs'

/** Fills all that nobody may read, so that a byte of it in an answer is seen. */
export const CANARY = Buffer.from('CANARY!!', 'latin1')

const KIB = 1024

const canary = (name, length) => ({ name, length, access: 'none' })

/**
 * In this order: slabs hand out their slots one behind the other, so that neighbours here are neighbours in memory. Slots of 4 KiB
 * with 0, 95 or 97 bytes that are nobody's behind the region, slots of 64 bytes, and mappings with pages around them that cannot be
 * touched. Of files a range, whose neighbours are in the same pages.
 */
export const LAYOUT = [
  canary('canary 0', 4096),
  { name: 'odd', length: 4001, access: 'read' },
  canary('canary 1', 4096),
  { name: 'page', length: 4096, access: 'readwrite' },
  canary('canary 2', 4096),
  { name: 'inbox', length: 3999, access: 'write' },
  canary('canary 3', 4096),
  { name: 'mail', length: 4096, access: 'none' },
  canary('canary 4', 4096),
  canary('tiny canary 0', 64),
  { name: 'tiny', length: 50, access: 'readwrite' },
  canary('tiny canary 1', 64),
  canary('big canary 0', 300 * KIB),
  { name: 'big', length: 1024 * KIB + 5, access: 'read' },
  { name: 'big page', length: 512 * KIB, access: 'readwrite' },
  { name: 'big odd', length: 300 * KIB + 13, access: 'readwrite' },
  canary('big canary 1', 300 * KIB),
]

export const FILE_BYTES = 8 * 4096

/** Ranges of one file, all of which but them is canary. */
export const FILE_LAYOUT = [
  { name: 'file', offset: 5000, length: 3001, access: 'read' },
  { name: 'file page', offset: 3 * 4096, length: 4096, access: 'readwrite' },
  { name: 'file odd', offset: 5 * 4096 + 8, length: 4099, access: 'readwrite' },
]

/** What a region holds at first: bytes of its own where peers may read it, canary where not. */
export function contentOf(seed, { name, length, access }) {
  return access.startsWith('read') ? pattern(`${seed}/${name}`, length) : Buffer.alloc(length, CANARY)
}
