import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import type { DType } from '../../../index.js'
import { CliError, usageError } from '../failure.js'
import { shownName } from '../safetensors/cursor.js'
import { oursOf } from '../safetensors/dtypes.js'
import { readHeader } from '../safetensors/file.js'
import { harmless } from '../screen.js'
import { headerName, OWN, type ServedFile } from '../sharing/protocol.js'

const MAX_NAME_BYTES = 255
/** As many dimensions as a region may have. */
const MAX_DIMENSIONS = 32

/** What has a name that nothing else may have. */
interface Named {
  name: string
  /** The index of its file. */
  file: number
  /** What its file calls the type of its elements; only of tensors. */
  dtype?: string
}

/** A region that is to be: a range of a file. */
export interface Part extends Named {
  offset: number
  bytes: number
  /** The number of its elements by dimension. */
  shape?: readonly number[]
  /** Memlane's name for it; without, it is published as bytes. */
  ours?: DType
}

/** A file that is open. */
export interface OpenFile extends ServedFile {
  path: string
  handle: FileHandle
  /** Bytes of the header of a safetensors file. */
  headerBytes?: number
  /** Tensors without an element, which no region can have. */
  empty: number
}

/** What is to be served. */
export interface Offer {
  files: OpenFile[]
  parts: Part[]
  /** Tensors without an element: no regions, but who pulls has their names. */
  empty: Named[]
}

export interface OfferOptions {
  name: string | undefined
  prefix: boolean
  whole: boolean
}

/** What changes when somebody changes a file, or puts another in its place. Anybody may set the time of its content, nobody that of its change. */
export async function identityOf(handle: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await handle.stat({ bigint: true })
  return createHash('sha256').update(`${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`).digest('hex').slice(0, 32)
}

/** Opens files and reads the headers of those that are safetensors; nothing else of them is read. It tells of those that are left out, because they are empty. */
export async function openFiles(paths: readonly string[], options: OfferOptions, tell: (text: string) => void): Promise<Offer> {
  if (options.name !== undefined && paths.length > 1) throw usageError('--name is for one file')
  const offer: Offer = { files: [], parts: [], empty: [] }
  try {
    const empty: string[] = []
    for (const path of paths) if (!(await add(offer, path, options))) empty.push(path)
    if (offer.files.length === 0) throw new CliError(`${empty[0]}: is empty, and there is nothing to serve of it`)
    for (const path of empty) tell(`memlane serve: ${harmless(path)} is empty: not served`)
    checkNames(offer)
  } catch (error) {
    await closeFiles(offer)
    const { code, syscall } = error as NodeJS.ErrnoException
    const isShort = syscall === 'open' && (code === 'EMFILE' || code === 'ENFILE')
    throw isShort ? tooFewDescriptors(Math.max(paths.length, offer.parts.length), paths.length, error) : error
  }
  return offer
}

/** An error that says how many descriptors so many regions of so many files take: one each, for a file too. */
export function tooFewDescriptors(regions: number, files: number, cause: unknown): CliError {
  return new CliError(`${regions} regions of ${files} files take ${regions + files} descriptors, and this process may not have them: ulimit -n ${regions + files + 1000}, fewer files${regions > files ? ', or --whole' : ''}`, { cause })
}

export async function closeFiles({ files }: Offer): Promise<void> {
  await Promise.all(files.map(({ handle }) => handle.close()))
}

/** Whether there is anything of it to serve. */
async function add(offer: Offer, path: string, { name: given, prefix, whole }: OfferOptions): Promise<boolean> {
  // Without O_NONBLOCK the open of a pipe would wait for somebody at its other end.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const index = offer.files.length
  const name = given ?? basename(path)
  const file: OpenFile = { path, handle, name, bytes: 0, empty: 0 }
  offer.files.push(file)
  const about = await handle.stat()
  if (about.isDirectory()) throw new CliError(`${path}: is a folder, and files are served: ${path.replace(/\/$/, '')}/* for those in it`)
  if (!about.isFile()) throw new CliError(`${path}: is no regular file`)
  if (about.size === 0) {
    offer.files.pop()
    await handle.close()
    return false
  }
  file.bytes = about.size
  if (whole || !path.endsWith('.safetensors')) {
    offer.parts.push({ name, file: index, offset: 0, bytes: about.size })
    return true
  }
  if (given !== undefined && !prefix) throw usageError('--name of a safetensors file, whose tensors have names, needs --prefix or --whole')
  const { tensors, dataOffset } = await readHeader(handle, about.size, path)
  const before = prefix ? `${name.replace(/\.safetensors$/, '')}/` : ''
  file.header = { region: headerName(index), prefix: before }
  file.headerBytes = dataOffset - 8
  for (const { name: tensor, dtype, shape, begin, end } of tensors) {
    if (begin === end) {
      file.empty++
      offer.empty.push({ name: before + tensor, file: index, dtype })
      continue
    }
    const ours = shape.length > MAX_DIMENSIONS ? undefined : oursOf(dtype)
    offer.parts.push({ name: before + tensor, file: index, offset: dataOffset + begin, bytes: end - begin, dtype, shape, ...(ours !== undefined && { ours }) })
  }
  return true
}

function checkNames({ files, parts, empty }: Offer): void {
  const seen = new Map<string, Named>()
  const pathOf = (part: Named): string => files[part.file]?.path ?? ''
  for (const part of [...parts, ...empty]) {
    const before = seen.get(part.name)
    if (before !== undefined) {
      const advice = before.dtype === undefined || part.dtype === undefined ? 'serve them one by one, with --name' : '--prefix puts the name of its file before each'
      throw new CliError(`${pathOf(before)} and ${pathOf(part)} both have ${shownName(part.name)}: ${advice}`, { code: 'ERR_REGION_EXISTS' })
    }
    if (part.name === '' || part.name.includes('\0') || Buffer.byteLength(part.name) > MAX_NAME_BYTES) {
      throw new CliError(`${pathOf(part)}: ${shownName(part.name)} is no name that a region can have: it takes 1 to ${MAX_NAME_BYTES} bytes`)
    }
    if (part.name.startsWith(OWN)) throw new CliError(`${pathOf(part)}: names that begin with ${OWN}, as ${harmless(part.name)} does, are memlane's own`)
    seen.set(part.name, part)
  }
}
