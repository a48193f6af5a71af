import { byteCount, checkRange, type Integer, type OwnBytes } from './arguments.js'
import { attached } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { fromFailure, illegalConstructor, MemlaneError, unsafeMemoryError } from './errors.js'
import { Lifetime } from './lifetime.js'
import { checkDrain } from './limits.js'
import { native, type Figures } from './native.js'
import { Call, nothing } from './operation.js'
import type { Access, CloseOptions, RegionInfo } from './options.js'
import type { Allowance } from './rights.js'
import { statsOf, type RegionStats } from './stats.js'
import { checkDType, type DType, elementsOf, type TensorArrays, type TensorData, tensorError, type TensorKind, tensorText } from './tensor.js'

/** What not every region is. */
export interface RegionTraits {
  /** What its bytes are. */
  tensor?: TensorKind | undefined
  /** The tokens that it is for, where it is not for everybody. */
  allow?: readonly Allowance[] | undefined
  /** False for one that this process may not write, either. */
  isStorable?: boolean
  /** Why JavaScript gets copies of its bytes and no view. */
  refusal?: string | undefined
}

/** Memory of JavaScript for a copy; it has less room than a region can have. */
function roomFor(bytes: number): OwnBytes {
  try {
    return new Uint8Array(bytes)
  } catch (cause) {
    throw new MemlaneError(`JavaScript has no ${bytes} bytes for a copy: take less at a time`, {
      code: 'ERR_MEMORY',
      origin: 'local',
      retryable: false,
      operation: 'copyOut',
      cause,
    })
  }
}

/** The handle of an open region, or `ERR_CLOSED`. */
export let regionHandle: (region: MemoryRegion) => number
/** A view over a region's memory, which outlives the region's registration; nothing where there are copies only. */
export let regionBytes: (region: MemoryRegion, offset: number, length: number) => Uint8Array | undefined
/** Refuses a region of a file that is mapped for reading, where bytes are to be stored. */
export let checkStorable: (region: MemoryRegion, what: string) => void
/** The region for a native handle. */
export let makeRegion: (
  handle: number,
  owner: Lifetime,
  name: string,
  address: number,
  length: number,
  access: Access,
  traits?: RegionTraits
) => MemoryRegion

/** `holder` with a property more: its value, or, where that is a copy that nobody may want, a getter that makes it once. */
export function lazily<T extends object>(holder: T, key: keyof T, isReady: boolean, make: () => T[keyof T]): T {
  const known = (value: T[keyof T]) => ({ value, writable: true, enumerable: true, configurable: true })
  const get = (): T[keyof T] => {
    const value = make()
    Object.defineProperty(holder, key, known(value))
    return value
  }
  return Object.defineProperty(holder, key, isReady ? known(make()) : { get, enumerable: true, configurable: true })
}

/**
 * Memory of the engine's that peers may reach as its `access` says, usable from the moment `alloc` returns. That of
 * `mapFile` is a file.
 *
 * A peer with write access may change bytes at any time. Numbers may be read live through {@link buffer}; anything else,
 * text above all, belongs read from a private copy: {@link copyOut} and {@link text}. Decoders of Node that work on bytes
 * which change under them end the process.
 *
 * A region lives until {@link close}, or until its endpoint closes; dropping the object changes nothing.
 *
 * @typeParam D the type of its elements, where its maker said which: that of {@link typed}
 */
export class MemoryRegion<D extends DType = DType> {
  /** Unique at its endpoint; peers find the region by it. */
  readonly name: string
  /** Length in bytes. */
  readonly length: number
  /** Its first byte on the wire: random, never used again, no address of this process. */
  readonly address: number
  /** What peers may do with it; where {@link allow} has other rights for other tokens, what one of them may do at most. */
  readonly access: Access
  /** What peers may do by the name of the token that they came with, where it is not there for everybody. */
  readonly allow: Readonly<Record<string, Access>> | undefined
  /** The type of its elements, where it was made as a tensor. */
  readonly dtype: D | undefined
  /** Elements by dimension, where it was made as a tensor. */
  readonly shape: readonly number[] | undefined
  readonly #lifetime: Lifetime
  readonly #handle: number
  readonly #isStorable: boolean
  readonly #refusal: string | undefined
  readonly #figures: Figures
  #buffer: ArrayBuffer | undefined = undefined

  private constructor(
    handle: number,
    owner: Lifetime,
    name: string,
    address: number,
    length: number,
    access: Access,
    traits: RegionTraits = {}
  ) {
    if (!(owner instanceof Lifetime)) throw illegalConstructor('MemoryRegion', 'endpoint.alloc()')
    this.name = name
    this.length = length
    this.address = address
    this.access = access
    this.allow = traits.allow && Object.freeze(Object.fromEntries(traits.allow.map((one) => [one.token, one.access])))
    this.dtype = traits.tensor?.dtype as D | undefined
    this.shape = traits.tensor?.shape
    this.#isStorable = traits.isStorable ?? true
    this.#refusal = traits.refusal
    this.#handle = handle
    this.#figures = native.regionFigures(attached(), handle) as Figures
    this.#lifetime = new Lifetime(handle, `region ${JSON.stringify(name)}`, owner)
  }

  /** Whether the region, or its endpoint, is closed. True from the call of `close` on. */
  get closed(): boolean {
    return this.#lifetime.closed
  }

  /** Whether there is a {@link buffer}: of a mapped file only on request, or where nobody can truncate it. */
  get viewable(): boolean {
    return this.#refusal === undefined
  }

  /**
   * The memory itself, the same ArrayBuffer each time. One that was taken before the region was closed stays valid for this process.
   *
   * Of a file that was mapped with `access: 'read'` it shows the file's bytes, and what is stored there is this process's
   * alone: neither the file nor a peer gets it.
   *
   * @throws `ERR_CLOSED` on a closed region; `ERR_UNSAFE_MEMORY` on a mapped file without `unsafeBuffer`, unless the file is
   *   sealed, and on one whose `offset` is no multiple of 8
   */
  get buffer(): ArrayBuffer {
    this.#lifetime.use()
    return this.#view()
  }

  /**
   * The elements, as the array of its {@link dtype}: a new view over {@link buffer} each time, so that peers may change what
   * it shows. Where there is no buffer, a private copy.
   *
   * @throws `ERR_TENSOR` on a region without dtype; `ERR_CLOSED` on a closed region; as {@link copyOut}
   */
  typed(): TensorArrays[D]
  /**
   * The same, as the array of a type that the region has to have, so that TypeScript knows it.
   *
   * @param dtype the type of the elements
   * @throws as above; `ERR_TENSOR` also on a region of another type, `TypeError` for a name of none
   */
  typed<E extends DType>(dtype: E): TensorArrays[E]
  typed(dtype?: DType): TensorData {
    const wanted = dtype === undefined ? undefined : checkDType(dtype)
    this.#lifetime.use()
    const what = `the region ${JSON.stringify(this.name)}`
    if (this.dtype === undefined || this.shape === undefined) throw tensorError(`${what} was made without dtype and shape`)
    if (wanted !== undefined && wanted !== this.dtype) {
      throw tensorError(`${what} is ${tensorText({ dtype: this.dtype, shape: this.shape })}, not ${wanted}`)
    }
    const bytes = regionBytes(this, 0, this.length) ?? this.copyOut()
    return elementsOf(this.dtype, bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /**
   * The region's entry in the endpoint info. Peers are told the `access` that their own token has.
   *
   * @throws `ERR_CLOSED` on a closed region
   */
  info(): RegionInfo {
    this.#lifetime.use()
    const { address: addr, length, access, dtype, shape } = this
    return dtype === undefined || shape === undefined
      ? { addr, length, access }
      : { addr, length, access, dtype, shape: [...shape] }
  }

  /** Counters of what peers did to it, and how many use it now. On a closed region they are the last. */
  stats(): RegionStats {
    return statsOf(this.#figures)
  }

  /**
   * A private copy of `length` bytes from `offset`, made by the engine: what peers do to the region afterwards does not
   * reach it. Bytes that a peer writes during the copy may be old or new, each for itself.
   *
   * @param offset first byte, 0 to the region's length; 0 when left out
   * @param length bytes; the rest of the region when left out
   * @throws `RangeError` `ERR_OUT_OF_RANGE` when the range leaves the region; `ERR_CLOSED` on a closed region; `ERR_FILE` when
   *   a mapped file was truncated meanwhile
   */
  copyOut(offset: Integer = 0, length?: Integer): OwnBytes {
    const handle = this.#lifetime.use()
    const start = byteCount(offset, 'offset')
    const count = length === undefined ? Math.max(0, this.length - start) : byteCount(length, 'length')
    checkRange(start, count, this.length, 'the region')
    const copy = roomFor(count)
    const failure = count > 0 ? native.copyOut(attached(), handle, start, copy) : undefined
    if (failure) throw fromFailure(failure)
    return copy
  }

  /**
   * `length` bytes from `offset` as text, decoded as UTF-8 from a private copy; what is no UTF-8 becomes U+FFFD.
   *
   * @param offset first byte, 0 to the region's length; 0 when left out
   * @param length bytes; the rest of the region when left out
   * @throws as {@link copyOut}
   */
  text(offset: Integer = 0, length?: Integer): string {
    const copy = this.copyOut(offset, length)
    return Buffer.from(copy.buffer, copy.byteOffset, copy.byteLength).toString('utf8')
  }

  /**
   * The fence: once this resolves, no peer ever touches the range again. What is running may finish within `drainMs`, then its
   * connection is cut; it resolves within a second after that, also when a peer died in the middle. Calling it again gives
   * the same promise; the options of the first call hold.
   *
   * @throws `TypeError` or `RangeError` for wrong options, also when it is closing already
   */
  close(options: CloseOptions = {}): Promise<void> {
    const drainMs = checkDrain(options)
    const subject: OperationSubject = { operation: 'close', closes: 'region', region: this.name }
    return this.#lifetime.end((handle) =>
      new Call<void>((op) => native.closeRegion(attached(), op, handle, drainMs), nothing, subject).wait()
    )
  }

  /** {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #view(): ArrayBuffer {
    if (this.#refusal !== undefined) {
      throw unsafeMemoryError(
        `the region ${JSON.stringify(this.name)} has no buffer: ${this.#refusal}. Use copyOut or text; mapFile's option ` +
          'unsafeBuffer takes the risk of a file that shrinks'
      )
    }
    return (this.#buffer ??= native.regionBuffer(attached(), this.#handle))
  }

  static {
    regionHandle = (region) => region.#lifetime.use()
    regionBytes = (region, offset, length) =>
      region.#refusal === undefined ? new Uint8Array(region.#view(), offset, length) : undefined
    checkStorable = (region, what) => {
      if (region.#isStorable) return
      throw new MemlaneError(`${what} is a file that was mapped with access 'read': nothing can be stored there`, {
        code: 'ERR_ACCESS',
        origin: 'local',
        retryable: false,
      })
    }
    makeRegion = (...parts) => new MemoryRegion(...parts)
  }
}
