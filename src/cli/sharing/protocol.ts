/** What `serve` publishes for `pull` beside the files; docs/cli/pull.md describes it. */

/** Regions whose names begin so are not files. */
export const OWN = '.memlane/'
/** JSON: the {@link Manifest}. */
export const MANIFEST = `${OWN}manifest`
/** {@link ACKS} numbers of 32 bits, then a slot for each region of the manifest. */
export const SUMS = `${OWN}sums`
/** What a pull takes of a manifest, and of all regions listed in an endpoint info, at most. */
export const MAX_MANIFEST_BYTES = 64 << 20
export const MAX_INFO_BYTES = 64 << 20
/** The header of a safetensors file. */
export const headerName = (file: number): string => `${OWN}header/${file}`

/** The tag of an {@link Ask}: "serv". */
export const ASK_TAG = 0x73657276
/** Longest ask. */
export const MAX_ASK_BYTES = 65_536
/** Ranges in an ask. */
export const MAX_RANGES = 1000

/** A file that is served. */
export interface ServedFile {
  name: string
  bytes: number
  /** Of a safetensors file: the region with its header, and what stands before the names of its tensors. */
  header?: { region: string; prefix: string }
}

/** What is served. */
export interface Manifest {
  memlane: 'serve'
  version: 1
  files: readonly ServedFile[]
  /** Regions, and the index of their file. Their own index is that of their slot. */
  slots: readonly (readonly [name: string, file: number])[]
}

/** A message that asks for what slots say of the files as they are now. */
export interface Ask {
  /** Slots, from the first to behind the last: ascending, and none twice. */
  slots: readonly (readonly [from: number, to: number])[]
  /** Whether their checksums are wanted too, or their identities alone. */
  sha256: boolean
  /** Whether sums that were begun before this do not do: a file that is written through a mapping may change and keep its time. */
  fresh?: boolean
  /** A cell of the acknowledgements, and what is stored there when the slots are as they are now. */
  ack: readonly [cell: number, value: number]
}

/** Cells for acknowledgements: a puller takes one at random. */
export const ACKS = 1024
export const SLOT_BYTES = 64

/** What a slot says of its region. */
export const STATE = { unknown: 0, working: 1, done: 2, failed: 3 } as const

/** A region's checksum, as far as it is known. */
export interface Slot {
  state: number
  /** The number of the computation that the checksum is of, and of the one that answers whoever asked for a fresh one until now. */
  made: number
  due: number
  /** 16 bytes, others when the file has been changed. */
  identity: string
  /** SHA-256, in hexadecimal digits; where the state is done. */
  sha256: string
}

export const slotOffset = (index: number): number => 4 * ACKS + SLOT_BYTES * index

export function readSlot(bytes: Buffer, at: number): Slot {
  const hex = (from: number, to: number): string => bytes.toString('hex', at + from, at + to)
  return { state: bytes[at] ?? 0, made: bytes.readUInt32LE(at + 4), due: bytes.readUInt32LE(at + 8), identity: hex(16, 32), sha256: hex(32, 64) }
}

/** Stores a slot whose state is not looked at before all else of it is there. */
export function writeSlot(bytes: Buffer, at: number, { state, made, due, identity, sha256 }: Slot): void {
  bytes[at] = STATE.unknown
  bytes.writeUInt32LE(made, at + 4)
  bytes.writeUInt32LE(due, at + 8)
  bytes.write(identity, at + 16, 'hex')
  bytes.fill(0, at + 32, at + 64)
  bytes.write(sha256, at + 32, 'hex')
  bytes[at] = state
}
