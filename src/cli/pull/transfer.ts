import { setMaxListeners } from 'node:events'
import { setTimeout as rest } from 'node:timers/promises'
import { MemlaneError, type MemoryRegion, type TcpEndpoint } from '../../../index.js'
import { CliError, EXIT, shownError } from '../failure.js'
import type { Hasher } from '../hashing/hasher.js'
import { durationText } from '../units.js'
import { Part, type Outcome, type Piece } from './part.js'
import type { Plan } from './plan.js'
import type { Progress } from './progress.js'
import { isPassing, type Source } from './source.js'

/** What is under way at once, and so all the memory that it takes. */
const PIECE_BYTES = 4 << 20
const PIECES = 4
/** Files that are whole and not on the disk yet, with their checks. */
const MOST_FINISHING = 16
/** How often it is noted how far a file is: so much is pulled again after a `kill -9`, at most. */
const NOTE_MS = 500
const PAUSE_MS = 200

export interface TransferOptions {
  endpoint: TcpEndpoint
  source: Source
  plans: readonly Plan[]
  hasher: Hasher | undefined
  progress: Progress
  retryMs: number
  signal: AbortSignal
  tell(text: string): void
  /** A file has its name. */
  finished(outcomes: readonly Outcome[]): void
}

/** Pulls files, several pieces at a time, whichever files they are of. */
export class Transfer {
  readonly #options: TransferOptions
  readonly #scratch: MemoryRegion
  readonly #bytes: Buffer
  readonly #parts = new Set<Part>()
  readonly #finishing = new Set<Promise<void>>()
  readonly #failure = new AbortController()
  readonly #signal: AbortSignal
  readonly #plans: Iterator<Plan>
  #current: Part | undefined
  /** One at a time takes the next piece: it may open a file for it. */
  #taking: Promise<unknown> = Promise.resolve()
  #lastGood = performance.now()

  constructor(options: TransferOptions) {
    this.#options = options
    this.#scratch = options.endpoint.alloc('scratch', PIECES * PIECE_BYTES)
    this.#bytes = Buffer.from(this.#scratch.buffer)
    this.#signal = AbortSignal.any([options.signal, this.#failure.signal])
    setMaxListeners(0, this.#signal)
    this.#plans = options.plans[Symbol.iterator]()
  }

  /** Resolves when all files have their names. What fails leaves the others as they are, to be gone on with. */
  async run(): Promise<void> {
    const notes = setInterval(() => this.#note(), NOTE_MS)
    try {
      const rounds = await Promise.allSettled(Array.from({ length: PIECES }, (_, slot) => this.#round(slot)))
      await Promise.all(this.#finishing)
      // Who is told to end fails nothing: what was not checked any more is not whole.
      this.#options.signal.throwIfAborted()
      const failed = rounds.find(({ status }) => status === 'rejected')
      if (this.#failure.signal.aborted) throw this.#failure.signal.reason
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
    } finally {
      clearInterval(notes)
      await Promise.all([...this.#parts].map((part) => part.suspend()))
      await this.#scratch.close()
    }
  }

  #fail(error: unknown): void {
    if (!this.#signal.aborted) this.#failure.abort(error)
  }

  #note(): void {
    for (const part of this.#parts) part.note().catch((error: unknown) => this.#fail(error))
  }

  /** Fetches and stores piece after piece, in its own part of the scratch. */
  async #round(slot: number): Promise<void> {
    try {
      for (;;) {
        const taken = await this.#take()
        if (taken === undefined) return
        const { part, piece } = taken
        await this.#fetch(piece, slot * PIECE_BYTES)
        await part.store(piece, this.#bytes.subarray(slot * PIECE_BYTES, slot * PIECE_BYTES + piece.length))
        this.#options.progress.done += piece.length
        if (part.done === part.plan.bytes) this.#finish(part)
      }
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  #take(): Promise<{ part: Part; piece: Piece } | undefined> {
    const taken = this.#taking.then(() => this.#takeNext())
    this.#taking = taken.catch(() => undefined)
    return taken
  }

  async #takeNext(): Promise<{ part: Part; piece: Piece } | undefined> {
    const { source, hasher, progress, tell } = this.#options
    for (;;) {
      this.#signal.throwIfAborted()
      const piece = this.#current?.next(PIECE_BYTES)
      if (piece !== undefined) return { part: this.#current as Part, piece }
      const { value: plan, done } = this.#plans.next() as IteratorResult<Plan, undefined>
      if (done === true) return undefined
      if (this.#finishing.size >= MOST_FINISHING) await Promise.race(this.#finishing)
      const part = await Part.open(plan, source.identityOf(plan.extents.map(({ item }) => item)), source.label, hasher, tell)
      this.#parts.add(part)
      this.#current = part
      progress.resumed += part.resumed
      progress.done += part.resumed + plan.head.length
      // One that has nothing to be fetched, or nothing more.
      if (part.done === plan.bytes) this.#finish(part)
    }
  }

  /** Reads a piece, again and again while the peer is away, as long as that is worth it. */
  async #fetch(piece: Piece, at: number): Promise<void> {
    await this.#patiently(async () => {
      const { peer } = this.#options.source
      const [only, ...others] = piece.stretches
      const options = { timeoutMs: 0, signal: this.#signal }
      if (only !== undefined && others.length === 0) {
        await peer.read(only.item.name, { into: this.#scratch, intoOffset: at, remoteOffset: only.remoteOffset, length: only.length, ...options })
      } else {
        await peer.readBatch(
          piece.stretches.map(({ item, remoteOffset, localOffset, length }) => ({ remote: item.name, remoteOffset, local: this.#scratch, localOffset: at + localOffset, length })),
          options
        )
      }
      if (this.#options.source.isUnsettled) await this.#options.source.settle()
    })
  }

  async #patiently<T>(action: () => Promise<T>): Promise<T> {
    for (;;) {
      let failure: unknown
      try {
        const result = await action()
        this.#lastGood = performance.now()
        this.#options.progress.status = undefined
        return result
      } catch (error) {
        failure = error
      }
      this.#signal.throwIfAborted()
      // The file has become shorter, or is another: settling tells.
      const isShort = (failure as NodeJS.ErrnoException | undefined)?.code === 'ERR_OUT_OF_RANGE'
      if (!isPassing(failure) && !isShort) throw failure
      await this.#settled(failure, isShort)
    }
  }

  /** Waits for the peer; throws when it has been away for too long, or is another now. */
  async #settled(failure: unknown, isFinal: boolean): Promise<void> {
    const { source, progress, retryMs } = this.#options
    const patience = retryMs - (performance.now() - this.#lastGood)
    progress.status = `${source.label} is away, trying again for ${durationText(Math.max(0, patience))}`
    if (patience <= 0) throw this.#lost(failure)
    try {
      await source.settle()
    } catch (error) {
      this.#signal.throwIfAborted()
      if (!isPassing(error)) throw error
      await rest(PAUSE_MS, undefined, { signal: this.#signal })
      return
    }
    if (isFinal) throw failure
    await rest(PAUSE_MS, undefined, { signal: this.#signal })
  }

  #lost(failure: unknown): CliError {
    const { source, progress, retryMs } = this.#options
    return new CliError(`${source.label} went away and was not back in ${durationText(retryMs)} (${shownError(failure).message}): ${progress.text} are here, and the same command goes on from there`, {
      code: failure instanceof MemlaneError ? failure.code : 'ERR_PEER_CLOSED',
      status: EXIT.unreachable,
      cause: failure,
    })
  }

  #finish(part: Part): void {
    const finishing = this.#check(part)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#finishing.delete(finishing))
    this.#finishing.add(finishing)
  }

  async #check(part: Part): Promise<void> {
    const { source, progress, hasher, finished } = this.#options
    const items = part.plan.extents.map(({ item }) => item)
    if (hasher !== undefined && progress.done === progress.total) progress.status = 'computing SHA-256'
    // Ours first: what the peer is asked last tells whether its file is still the same.
    await part.sums()
    if (hasher !== undefined && progress.done === progress.total) progress.status = 'waiting for the SHA-256 of the peer'
    const wanted = source.isVerifying ? await this.#patiently(() => source.sumsOf(items)) : undefined
    const differing = await part.differing(wanted)
    // The peer's sum may be of bytes that were there before: it says once more.
    if (differing.length > 0) for (const [name, sum] of await this.#patiently(() => source.sumsOf(differing, true))) wanted?.set(name, sum)
    finished(await part.finish(wanted))
    this.#parts.delete(part)
  }
}
