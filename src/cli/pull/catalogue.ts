import type { Peer, RegionInfo } from '../../../index.js'
import { CliError } from '../failure.js'
import { dtypeOf } from '../safetensors/dtypes.js'
import { MAX_HEADER_BYTES, parseHeader, type Header } from '../safetensors/header.js'
import { harmless } from '../screen.js'
import { MANIFEST, MAX_MANIFEST_BYTES, OWN, SUMS, type Manifest, type ServedFile } from '../sharing/protocol.js'


const MAX_NAME_BYTES = 255

/** Whether a region could have that name; a tensor without elements is none, so that nobody else has looked. */
const isName = (name: string): boolean => name !== '' && name.length <= MAX_NAME_BYTES && Buffer.byteLength(name) <= MAX_NAME_BYTES && !/\0|\p{Surrogate}/u.test(name)

/** Something that can be pulled: a region, or a tensor without elements, which no region can be. */
export interface Item {
  name: string
  bytes: number
  /** As safetensors calls it. */
  dtype?: string
  shape?: readonly number[]
  /** Where the peer says what its checksum is. */
  slot?: number
  /** The safetensors file that it is of, by its index in {@link Catalogue.files}. */
  file?: number
}

/** A safetensors file of which the peer serves the tensors. */
export interface Original {
  /** Its first bytes: the length of the header, and the header. */
  head: Buffer
  metadata: ReadonlyMap<string, string>
  /** What it has, in the order of the file. */
  items: readonly Item[]
}

/** What a peer has. */
export interface Catalogue {
  items: readonly Item[]
  /** Safetensors files, by the index that items have. */
  originals: ReadonlyMap<number, Original>
  /** Whether it is `memlane serve`, which has checksums. */
  isServed: boolean
}

/** The peer is there, and does not have everything yet. */
export class NotYetError extends Error {}

/** Reads what the peer has, by its regions as they are known. */
export async function readCatalogue(peer: Peer, signal: AbortSignal): Promise<Catalogue> {
  const { regions } = peer
  if (!regions.has(MANIFEST) || !regions.has(SUMS)) {
    const readable = [...regions].filter(([name, { access }]) => !name.startsWith(OWN) && access !== 'write' && access !== 'none')
    return { items: readable.map(([name, info]) => itemOf(name, info)), originals: new Map(), isServed: false }
  }
  const manifest = await readManifest(peer, signal)
  const originals = new Map<number, Original>()
  const items = manifest.slots.map(([name, file], slot): Item => {
    const info = regions.get(name)
    if (info === undefined) throw new NotYetError(`the peer is to serve ${harmless(JSON.stringify(name))}, and does not do so yet`)
    return { ...itemOf(name, info), slot, file }
  })
  const byName = new Map(items.map((item) => [item.name, item]))
  for (const [index, file] of manifest.files.entries()) {
    if (file.header !== undefined) originals.set(index, await readOriginal(peer, file, file.header, index, byName, signal))
  }
  const tensors = [...originals.values()].flatMap((original) => original.items)
  const empty = tensors.filter(({ bytes }) => bytes === 0)
  const known = new Map<string, Item>()
  // Two of one name would be one file, or one tensor: the other would be lost.
  for (const tensor of tensors) {
    if (known.has(tensor.name) || (tensor.bytes === 0 && byName.has(tensor.name))) throw wrong(`has two tensors that are named ${harmless(JSON.stringify(tensor.name))}: serve them with --prefix`)
    known.set(tensor.name, tensor)
  }
  return { items: [...items.map((item) => known.get(item.name) ?? item), ...empty], originals, isServed: true }
}

function itemOf(name: string, { length, dtype, shape }: RegionInfo): Item {
  const known = dtypeOf(dtype)
  return { name, bytes: length, ...(known !== undefined && shape !== undefined && { dtype: known, shape }) }
}

async function readManifest(peer: Peer, signal: AbortSignal): Promise<Manifest> {
  const length = peer.regions.get(MANIFEST)?.length ?? 0
  if (length > MAX_MANIFEST_BYTES) throw wrong(`has ${length} bytes`)
  const bytes = Buffer.from(await peer.read(MANIFEST, { signal }))
  // It is there before it is filled.
  if (bytes[0] === 0) throw new NotYetError('the peer is just starting')
  let value: Partial<Manifest>
  try {
    value = (JSON.parse(bytes.toString()) ?? {}) as Partial<Manifest>
  } catch {
    throw wrong('is no JSON')
  }
  const { version, files, slots } = value
  if (version !== 1) throw wrong(`is of version ${harmless(JSON.stringify(version) ?? 'none').slice(0, 40)}, and this memlane knows 1`)
  const isFile = (file: ServedFile | null): boolean =>
    typeof file?.name === 'string' &&
    Number.isSafeInteger(file.bytes) &&
    (file.header === undefined || (typeof file.header?.region === 'string' && typeof file.header.prefix === 'string'))
  if (!Array.isArray(files) || !files.every(isFile)) throw wrong('lists files that make no sense')
  const isSlot = (slot: unknown): boolean => Array.isArray(slot) && slot.length === 2 && typeof slot[0] === 'string' && Number.isInteger(slot[1]) && slot[1] >= 0 && slot[1] < files.length
  if (!Array.isArray(slots) || !slots.every(isSlot) || new Set(slots.map(([name]) => name)).size !== slots.length) throw wrong('lists regions that make no sense')
  return value as Manifest
}

/** The peer breaks what docs/cli/pull.md says goes over the wire. */
export function wrong(what: string): CliError {
  return new CliError(`what the peer says that it serves (${MANIFEST}) ${what}`, { code: 'ERR_PROTOCOL' })
}

async function readOriginal(peer: Peer, file: ServedFile, { region, prefix }: { region: string; prefix: string }, index: number, byName: ReadonlyMap<string, Item>, signal: AbortSignal): Promise<Original> {
  const length = peer.regions.get(region)?.length
  if (length === undefined) throw new NotYetError(`the peer is to serve the header of ${harmless(JSON.stringify(file.name))}, and does not do so yet`)
  if (length > MAX_HEADER_BYTES) throw wrong(`has a header of ${length} bytes`)
  const head = Buffer.alloc(8 + length)
  head.writeBigUInt64LE(BigInt(length), 0)
  await peer.read(region, { into: head.subarray(8), signal })
  const { tensors, metadata }: Header = parseHeader(head.subarray(8), file.bytes - head.length, `${harmless(file.name)} at the peer`)
  const items = tensors.map(({ name, dtype, shape, begin, end }): Item => {
    const full = prefix + name
    if (!isName(full)) throw wrong(`makes a name of ${harmless(JSON.stringify(full.slice(0, 60)))} in ${harmless(file.name)} that no region can have: it takes 1 to ${MAX_NAME_BYTES} bytes of UTF-8`)
    const item = byName.get(full)
    if (end > begin && (item?.bytes !== end - begin || item.file !== index)) throw wrong(`and the header of ${harmless(file.name)} differ about ${harmless(JSON.stringify(full))}`)
    return { ...item, name: full, bytes: end - begin, dtype, shape, file: index }
  })
  return { head, metadata, items }
}
