import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CliError, EXIT } from '../failure.js'
import type { Hasher } from '../hashing/hasher.js'
import { harmless } from '../screen.js'
import type { Item } from './catalogue.js'
import type { Extent, Plan } from './plan.js'
import { readProgress, removeProgress, writeProgress } from './sidecar.js'

const MODE = 0o666

/** A range of one item that lies in a piece. */
export interface Stretch {
  item: Item
  remoteOffset: number
  localOffset: number
  length: number
}

/** A range of the file that is fetched at once. */
export interface Piece {
  at: number
  length: number
  stretches: readonly Stretch[]
}

/** What came of an item. */
export interface Outcome {
  item: Item
  path: string
  sha256: string | undefined
  verified: boolean
  seconds: number
  /** Bytes of it that were there before. */
  resumed: number
}

/** A file that is not whole yet: `NAME.part`, and beside it what is known of it. */
export class Part {
  readonly plan: Plan
  readonly path: string
  /** So many bytes were there already. */
  readonly resumed: number
  readonly #handle: FileHandle
  readonly #about: BigIntStats
  readonly #identity: string
  readonly #from: string
  readonly #hasher: Hasher | undefined
  readonly #digests: Promise<Buffer>[] = []
  readonly #begun: number[] = []
  readonly #ended: number[] = []
  readonly #inFlight = new Map<number, number>()
  #issued: number
  #nextExtent = 0
  #fed: number
  #fedExtent = 0
  #fedId = 0
  #noted: number
  #noting: Promise<void> = Promise.resolve()
  /** Whether nothing of it is kept to be gone on with. */
  #isOver = false
  /** Whether it is about to get its name, and needs no more notes. */
  #isWhole = false

  private constructor(plan: Plan, handle: FileHandle, about: BigIntStats, done: number, isResumed: boolean, identity: string, from: string, hasher: Hasher | undefined) {
    this.plan = plan
    this.path = `${plan.path}.part`
    this.#handle = handle
    this.#about = about
    this.resumed = isResumed ? done - plan.head.length : 0
    this.#issued = done
    this.#noted = isResumed ? done : -1
    this.#fed = plan.head.length
    this.#identity = identity
    this.#from = from
    this.#hasher = hasher
    this.#feed()
  }

  /** Goes on with what is there, where it is of the same plan and the peer has the same bytes; else begins anew. */
  static async open(plan: Plan, identity: string, from: string, hasher: Hasher | undefined, tell: (text: string) => void): Promise<Part> {
    const path = `${plan.path}.part`
    const progress = await readProgress(path)
    const old = progress === undefined ? undefined : await opened(path)
    if (progress !== undefined && old !== undefined) {
      const { size } = old.about
      const isSame = progress.key === plan.key && progress.identity === identity && progress.done >= plan.head.length && progress.done <= Math.min(Number(size), plan.bytes)
      if (isSame) return new Part(plan, old.handle, old.about, progress.done, true, identity, from, hasher)
      await old.handle.close()
      if (size > 0) tell(`${harmless(path)} is of other bytes than the peer has now: it begins anew`)
    }
    await removeProgress(path)
    const handle = await made(path)
    try {
      await writeAll(handle, plan.head, 0, path)
      return new Part(plan, handle, await handle.stat({ bigint: true }), plan.head.length, false, identity, from, hasher)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Bytes from its beginning that are there without a gap. */
  get done(): number {
    const [first] = this.#inFlight.keys()
    return first ?? this.#issued
  }

  /** What is to be fetched next, at most so many bytes; nothing when all of it is under way. */
  next(most: number): Piece | undefined {
    const { extents, bytes } = this.plan
    const at = this.#issued
    const end = Math.min(bytes, at + most)
    if (at >= end) return undefined
    const stretches: Stretch[] = []
    for (let index = this.#nextExtent; index < extents.length; index++) {
      const { item, at: start } = extents[index] as Extent
      if (start >= end) break
      const from = Math.max(at, start)
      const to = Math.min(end, start + item.bytes)
      if (to > from) {
        this.#begun[index] ??= performance.now()
        stretches.push({ item, remoteOffset: from - start, localOffset: from - at, length: to - from })
      }
      if (start + item.bytes <= end) this.#nextExtent = index + 1
    }
    this.#issued = end
    this.#inFlight.set(at, end - at)
    return { at, length: end - at, stretches }
  }

  /** Stores a piece. */
  async store(piece: Piece, bytes: Uint8Array): Promise<void> {
    await writeAll(this.#handle, bytes.subarray(0, piece.length), piece.at, this.path)
    this.#inFlight.delete(piece.at)
    this.#feed()
  }

  /** Hands what is there without a gap to the hasher, item by item. */
  #feed(): void {
    const { extents } = this.plan
    const { done } = this
    for (; this.#fedExtent < extents.length; this.#fedExtent++) {
      const { item, at } = extents[this.#fedExtent] as Extent
      const end = at + item.bytes
      const to = Math.min(done, end)
      if (to < at || (to === at && item.bytes > 0)) return
      const from = Math.max(at, this.#fed)
      if (this.#hasher !== undefined) {
        if (from === at) {
          const { id, digest } = this.#hasher.begin()
          this.#fedId = id
          this.#digests.push(digest)
        }
        if (to > from || to === end) this.#hasher.feed({ id: this.#fedId, fd: this.#handle.fd, offset: from, length: to - from, isLast: to === end })
      }
      this.#fed = to
      if (to < end) return
      this.#ended[this.#fedExtent] = performance.now()
    }
  }

  /** Notes how far it is, behind what is on the disk: whatever ends this process or the machine, so much is there. */
  note(): Promise<void> {
    this.#noting = this.#noting.then(() => this.#note())
    return this.#noting
  }

  async #note(): Promise<void> {
    const { done } = this
    if (this.#isWhole || done === this.#noted) return
    await this.#handle.datasync()
    await this.#stillThere()
    await writeProgress(this.path, { key: this.plan.key, identity: this.#identity, done }, this.#from)
    this.#noted = done
  }

  /** Fails where the path leads to another file than the one that is written: that one is not checked, and its note is not ours. */
  async #stillThere(): Promise<void> {
    const { dev, ino } = this.#about
    const now = await lstat(this.path, { bigint: true }).catch(() => undefined)
    if (now?.dev !== dev || now.ino !== ino) throw new CliError(`${harmless(this.path)} is another file now, or gone: does another pull write there? The same command begins anew`, { code: 'ERR_BUSY' })
  }

  /** Leaves it as it is, to be gone on with. */
  async suspend(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    try {
      await this.note()
    } catch {
      // A disk that is full has no room for the note either; the one before it holds.
    }
    await this.#handle.close()
  }

  /** The SHA-256 of its items, by their names. */
  async sums(): Promise<Map<string, string>> {
    const digests = await Promise.all(this.#digests)
    return new Map(digests.map((digest, index) => [this.plan.extents[index]?.item.name as string, digest.toString('hex')]))
  }

  /** The items that have other sums than these. */
  async differing(wanted: ReadonlyMap<string, string> | undefined): Promise<Item[]> {
    const sums = await this.sums()
    return this.plan.extents.flatMap(({ item }) => {
      const sum = wanted?.get(item.name)
      return sum !== undefined && sum !== sums.get(item.name) ? [item] : []
    })
  }

  /** Gives it its name: it is whole, and on the disk. `wanted` are the sums that it has to have. */
  async finish(wanted: ReadonlyMap<string, string> | undefined): Promise<Outcome[]> {
    const sums = await this.sums()
    const [other] = await this.differing(wanted)
    if (other !== undefined) await this.#mismatched(other, sums.get(other.name), wanted?.get(other.name) as string)
    this.#isWhole = true
    await this.#noting
    await this.#handle.sync()
    await this.#stillThere()
    this.#isOver = true
    await this.#handle.close()
    await rename(this.path, this.plan.path)
    await removeProgress(this.path)
    await syncFolder(dirname(this.plan.path))
    return this.plan.extents.map(({ item, at }, index) => ({
      item,
      path: this.plan.path,
      sha256: sums.get(item.name),
      verified: item.bytes === 0 ? wanted !== undefined : wanted?.has(item.name) === true,
      seconds: ((this.#ended[index] ?? 0) - (this.#begun[index] ?? this.#ended[index] ?? 0)) / 1000,
      resumed: Math.min(item.bytes, Math.max(0, this.resumed + this.plan.head.length - at)),
    }))
  }

  /** Keeps the bytes to be looked at; without a note nobody goes on with them. */
  async #mismatched({ name }: Item, sum: string | undefined, wanted: string): Promise<never> {
    this.#isOver = true
    await this.#noting
    await this.#handle.close()
    await removeProgress(this.path)
    throw new CliError(`${harmless(name)} is not what the peer has: SHA-256 ${sum} here, ${wanted} there. ${harmless(this.path)} has the bytes that came; the same command begins anew`, {
      code: 'ERR_CHECKSUM',
      status: EXIT.mismatch,
    })
  }
}

/** A part that is there already, and nobody else's: no link, no second name, nothing but a file. */
async function opened(path: string): Promise<{ handle: FileHandle; about: BigIntStats } | undefined> {
  const handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined)
  const about = await handle?.stat({ bigint: true })
  if (handle !== undefined && about?.isFile() === true && about.nlink === 1n) return { handle, about }
  await handle?.close()
  return undefined
}

/** A new file; what was there goes, and whoever has it open keeps it to himself. */
async function made(path: string): Promise<FileHandle> {
  const about = await lstat(path).catch(() => undefined)
  if (about?.isSymbolicLink() === true) throw new CliError(`${harmless(path)}: is a link, and would be written through: remove it`)
  if (about !== undefined) await unlink(path)
  return open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, MODE).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? new CliError(`${harmless(path)}: somebody has just made it: does another pull write there?`, { code: 'ERR_BUSY' }) : error
  })
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number, path: string): Promise<void> {
  try {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
      done += bytesWritten
    }
  } catch (error) {
    // A handle does not know its name.
    throw Object.assign(error as NodeJS.ErrnoException, { path })
  }
}

/** The new name is on the disk too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } catch {
    // Not every file system can; the bytes are there all the same.
  } finally {
    await handle.close()
  }
}
