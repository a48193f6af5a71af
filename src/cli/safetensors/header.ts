import { Cursor, malformed, shownName } from './cursor.js'
import { bitsOf, bytesOfTensor } from './dtypes.js'

/** The format's own bound, and the reason for it: nobody should have to read gigabytes of JSON. */
export const MAX_HEADER_BYTES = 100_000_000

/** So many regions of files no process can have: Linux gives it 65,530 mappings. */
export const MAX_TENSORS = 65_536

/** More dimensions than any library has. */
const MAX_DIMENSIONS = 64
const MAX_NAME_BYTES = 255

/** A tensor as a file lists it. */
export interface Entry {
  name: string
  /** As safetensors calls it: `F32`. */
  dtype: string
  shape: readonly number[]
  /** Its first byte behind the header, and the byte behind its last. */
  begin: number
  end: number
}

/** What the header of a file says. */
export interface Header {
  /** By where they lie. */
  tensors: readonly Entry[]
  metadata: ReadonlyMap<string, string>
}

/** Bytes of the header by the first 8 of a file of so many bytes. */
export function headerLength(first: Buffer, fileBytes: number, label: string): number {
  if (first.length < 8) throw malformed(label, `it has ${fileBytes} bytes, which is too short for a safetensors file`)
  const length = first.readBigUInt64LE(0)
  if (length > BigInt(MAX_HEADER_BYTES)) throw malformed(label, `its header would have ${length} bytes, and ${MAX_HEADER_BYTES} are the most: it is no safetensors file, or a broken one`)
  if (Number(length) > fileBytes - 8) throw malformed(label, `its header should have ${length} bytes, and the file ends ${fileBytes - 8} behind its length: it was cut off`)
  return Number(length)
}

/** The header that `bytes` are, of a file with `dataBytes` behind it. */
export function parseHeader(bytes: Buffer, dataBytes: number, label: string): Header {
  const cursor = new Cursor(bytes, label, 8)
  const tensors: Entry[] = []
  let metadata: Map<string, string> | undefined
  cursor.object('the header', (name) => {
    if (name === '__metadata__') {
      metadata = metadataAt(cursor)
    } else {
      checkName(name, cursor)
      if (tensors.length === MAX_TENSORS) throw cursor.fail(`it has more than ${MAX_TENSORS} tensors`)
      tensors.push(entryAt(cursor, name))
    }
  })
  cursor.end()
  checkOrder(tensors, dataBytes, label)
  return { tensors, metadata: metadata ?? new Map() }
}

function metadataAt(cursor: Cursor): Map<string, string> {
  const metadata = new Map<string, string>()
  cursor.object('__metadata__', (name) => {
    if (metadata.size === MAX_TENSORS) throw cursor.fail(`__metadata__ has more than ${MAX_TENSORS} entries`)
    metadata.set(name, cursor.string(`__metadata__.${shownName(name)}`))
  })
  return metadata
}

function checkName(name: string, cursor: Cursor): void {
  if (name === '') throw cursor.fail('a tensor has no name')
  if (name.length > MAX_NAME_BYTES || Buffer.byteLength(name) > MAX_NAME_BYTES) throw cursor.fail(`the name ${shownName(name)} is longer than ${MAX_NAME_BYTES} bytes`)
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) throw cursor.fail(`the name ${shownName(name)} has a control character`)
}

function entryAt(cursor: Cursor, name: string): Entry {
  const what = `tensor ${shownName(name)}`
  let dtype: string | undefined
  let shape: number[] | undefined
  let offsets: number[] | undefined
  cursor.object(what, (key) => {
    if (key === 'dtype') dtype = cursor.string(`the dtype of ${what}`)
    else if (key === 'shape') shape = cursor.integers(`the shape of ${what}`, MAX_DIMENSIONS)
    else if (key === 'data_offsets') offsets = cursor.integers(`data_offsets of ${what}`, 2)
    else throw cursor.fail(`${what} has ${shownName(key)}, which no tensor has`)
  })
  if (dtype === undefined || shape === undefined || offsets === undefined) throw cursor.fail(`${what} lacks its ${dtype === undefined ? 'dtype' : shape === undefined ? 'shape' : 'data_offsets'}`)
  const [begin, end] = offsets as [number?, number?]
  if (begin === undefined || end === undefined) throw cursor.fail(`data_offsets of ${what} are not two numbers`)
  if (begin > end) throw cursor.fail(`${what} ends at ${end}, before it begins at ${begin}`)
  const bytes = bytesOfTensor(dtype, shape)
  if (bytes !== undefined && bytes !== end - begin) {
    throw cursor.fail(`${what} has ${end - begin} bytes, and ${dtype} [${shape.join(', ')}] ${Number.isNaN(bytes) ? 'is no possible size' : `makes ${bytes}`}`)
  }
  return { name, dtype, shape, begin, end }
}

/** Tensors fill what is behind the header, from its first byte to its last, one behind the other. */
function checkOrder(tensors: Entry[], dataBytes: number, label: string): void {
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let end = 0
  let before = 'the header'
  for (const one of tensors) {
    const name = `tensor ${shownName(one.name)}`
    if (one.end > dataBytes) throw malformed(label, `${name} ends at byte ${one.end} of the data, which has ${dataBytes}: the file was cut off`)
    if (one.begin < end) throw malformed(label, `${name} overlaps ${before}`)
    if (one.begin > end) throw malformed(label, `there are ${one.begin - end} bytes between ${before} and ${name} that belong to nothing`)
    end = one.end
    before = name
  }
  if (end < dataBytes) throw malformed(label, `there are ${dataBytes - end} bytes behind ${before} that belong to nothing`)
}

/** The first bytes of a file with these tensors: its header, with the 8 bytes of its length. */
export function madeHeader(tensors: readonly Pick<Entry, 'name' | 'dtype' | 'shape' | 'begin' | 'end'>[], metadata: ReadonlyMap<string, string>): Buffer {
  const members = tensors.map(({ name, dtype, shape, begin, end }) => `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`)
  if (metadata.size > 0) {
    const pairs = [...metadata].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
    members.unshift(`"__metadata__":{${pairs.join(',')}}`)
  }
  const json = Buffer.from(`{${members.join(',')}}`)
  // As the format's own library does, so that elements are aligned in a file that is mapped.
  const padded = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ')
  padded.writeBigUInt64LE(BigInt(padded.length - 8), 0)
  json.copy(padded, 8)
  return padded
}

/** How tensors lie in a file: the widest elements first, so that none needs padding; then by name. */
export function byAlignment(a: { dtype: string; name: string }, b: { dtype: string; name: string }): number {
  return (bitsOf(b.dtype) ?? 8) - (bitsOf(a.dtype) ?? 8) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
}
