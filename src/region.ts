import { checkRange, integer, type Integer } from './arguments.js'
import { attached } from './completions.js'
import { illegalConstructor } from './errors.js'
import { Lifetime } from './lifetime.js'
import { native, type Figures } from './native.js'
import { Call, nothing } from './operation.js'
import type { Access, RegionInfo } from './options.js'
import { statsOf, type RegionStats } from './stats.js'

/** The handle of an open region, or `ERR_CLOSED`. */
export let regionHandle: (region: MemoryRegion) => number
/** A view over a region's memory, which outlives the region's registration. */
export let regionBytes: (region: MemoryRegion, offset: number, length: number) => Uint8Array
/** The region for a native handle. */
export let makeRegion: (
  handle: number,
  owner: Lifetime,
  name: string,
  address: number,
  length: number,
  access: Access
) => MemoryRegion

/**
 * Memory of the engine's that peers may reach as its `access` says, usable from the moment `alloc` returns.
 *
 * A peer with write access may change bytes at any time. Numbers may be read live through {@link buffer}; anything else,
 * text above all, belongs read from a private copy: {@link copyOut} and {@link text}. Decoders of Node that work on bytes
 * which change under them end the process.
 *
 * A region lives until {@link close}, or until its endpoint closes; dropping the object changes nothing.
 */
export class MemoryRegion {
  /** Unique at its endpoint; peers find the region by it. */
  readonly name: string
  /** Length in bytes. */
  readonly length: number
  /** Its first byte on the wire: random, never used again, no address of this process. */
  readonly address: number
  /** What peers may do with it. */
  readonly access: Access
  readonly #lifetime: Lifetime
  readonly #handle: number
  readonly #figures: Figures
  #buffer: ArrayBuffer | undefined = undefined

  private constructor(
    handle: number,
    owner: Lifetime,
    name: string,
    address: number,
    length: number,
    access: Access
  ) {
    if (!(owner instanceof Lifetime)) throw illegalConstructor('MemoryRegion', 'endpoint.alloc()')
    this.name = name
    this.length = length
    this.address = address
    this.access = access
    this.#handle = handle
    this.#figures = native.regionFigures(attached(), handle) as Figures
    this.#lifetime = new Lifetime(handle, `region ${JSON.stringify(name)}`, owner)
  }

  /** Whether the region, or its endpoint, is closed. True from the call of `close` on. */
  get closed(): boolean {
    return this.#lifetime.closed
  }

  /**
   * The memory itself, the same ArrayBuffer each time. It stays valid, for this process, after the region was closed.
   *
   * @throws `ERR_CLOSED` on a closed region
   */
  get buffer(): ArrayBuffer {
    this.#lifetime.use()
    return this.#view()
  }

  /**
   * The region's entry in the endpoint info.
   *
   * @throws `ERR_CLOSED` on a closed region
   */
  info(): RegionInfo {
    this.#lifetime.use()
    return { addr: this.address, length: this.length, access: this.access }
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
   * @throws `RangeError` `ERR_OUT_OF_RANGE` when the range leaves the region; `ERR_CLOSED` on a closed region
   */
  copyOut(offset: Integer = 0, length?: Integer): Uint8Array {
    const handle = this.#lifetime.use()
    const start = integer(offset, 'offset')
    const count = length === undefined ? Math.max(0, this.length - start) : integer(length, 'length')
    checkRange(start, count, this.length, 'the region')
    const copy = new Uint8Array(count)
    if (count > 0) native.copyOut(attached(), handle, start, copy)
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
   * The fence: once this resolves, no peer ever touches the range again. It resolves also when a peer died in the middle.
   * Calling it again gives the same promise.
   */
  close(): Promise<void> {
    return this.#lifetime.end((handle) =>
      new Call<void>((op) => native.closeRegion(attached(), op, handle), nothing).wait()
    )
  }

  /** {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #view(): ArrayBuffer {
    return (this.#buffer ??= native.regionBuffer(attached(), this.#handle))
  }

  static {
    regionHandle = (region) => region.#lifetime.use()
    regionBytes = (region, offset, length) => new Uint8Array(region.#view(), offset, length)
    makeRegion = (...parts) => new MemoryRegion(...parts)
  }
}
