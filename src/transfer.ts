import { rangeError, type OwnBytes } from './arguments.js'
import { attached, readStaged, transfer } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { type MemlaneErrorInit, unsafeMemoryError } from './errors.js'
import { awaitedAsPromise, begin, fulfil } from './future.js'
import { NamedOperation } from './named.js'
import { native, type Failure } from './native.js'
import type { RegionInfo } from './options.js'
import { STAGED } from './plan.js'
import { regionHandle, type MemoryRegion } from './region.js'
import type { Remote } from './remote.js'

export const READ = 1
export const WRITE = 2

/** Length of a transfer whose caller did not say one. */
export const REST = -1

/** A read or write of one range of a remote region. */
export abstract class Transfer<T> extends NamedOperation<T> {
  readonly #name: string
  readonly #remoteOffset: number
  readonly #length: number

  protected constructor(
    remote: Remote,
    operation: 'read' | 'write',
    name: string,
    remoteOffset: number,
    length: number,
    timeoutMs: number
  ) {
    super(remote, operation, timeoutMs)
    this.#name = name
    this.#remoteOffset = remoteOffset
    this.#length = length
  }

  protected override get region(): string {
    return this.#name
  }

  about(): OperationSubject {
    const bytes = this.#length === REST ? undefined : this.#length
    return { operation: this.operation, peer: this.remote.label, region: this.#name, bytes }
  }

  /** Hands the operation over: it is on its way when this returns. `region` is what the name was found to be. */
  start(region: RegionInfo | undefined): this {
    if (region !== undefined) this.#launch(region)
    else this.ask(this.#name)
    return this
  }

  /** Bytes to move when nobody said, with `rest` bytes left in the remote region. */
  protected abstract rest(rest: number): number
  /** Takes a slot and calls the engine, once nothing can throw any more. */
  protected abstract issue(peer: number, address: number, length: number, timeoutMs: number): void

  protected override resume(): void {
    const region = this.remote.regions.get(this.#name)
    if (region === undefined) throw this.notFound(this.#name)
    this.checkRepeatable()
    this.#launch(region)
  }

  #refuse(region: RegionInfo): never {
    const what = `the region ${JSON.stringify(this.#name)} of ${this.remote.label}, which has ${region.length} bytes`
    const range = this.#length === REST ? '' : ` and length ${this.#length}`
    throw rangeError(`remoteOffset ${this.#remoteOffset}${range} leave${range === '' ? 's' : ''} ${what}`)
  }

  #launch(region: RegionInfo): void {
    const offset = this.#remoteOffset
    const length = this.#length === REST ? this.rest(Math.max(0, region.length - offset)) : this.#length
    if (offset > region.length || length > region.length - offset) this.#refuse(region)
    this.issue(this.remote.lifetime.use(), region.addr + offset, length, this.timeoutMs)
  }
}

/** Between a remote region and one of this process: the bytes never pass through JavaScript. */
export class RegionTransfer extends Transfer<number> {
  static {
    awaitedAsPromise(this)
  }

  readonly #opcode: number
  readonly #region: MemoryRegion
  readonly #regionOffset: number

  constructor(
    remote: Remote,
    opcode: number,
    name: string,
    remoteOffset: number,
    length: number,
    timeoutMs: number,
    region: MemoryRegion,
    regionOffset: number
  ) {
    super(remote, opcode === READ ? 'read' : 'write', name, remoteOffset, length, timeoutMs)
    this.#opcode = opcode
    this.#region = region
    this.#regionOffset = regionOffset
  }

  protected override rest(rest: number): number {
    return Math.min(rest, this.#region.length - this.#regionOffset)
  }

  protected override issue(peer: number, address: number, length: number, timeoutMs: number): void {
    const region = regionHandle(this.#region)
    transfer(begin(this), peer, this.#opcode, region, this.#regionOffset, address, length, timeoutMs)
  }

  protected override finished(_op: number, value: number): void {
    fulfil(this, value)
  }
}

/** A read into memory that the engine makes for it and the caller gets. */
export class PrivateRead extends Transfer<OwnBytes> {
  static {
    awaitedAsPromise(this)
  }

  constructor(remote: Remote, name: string, remoteOffset: number, length: number, timeoutMs: number) {
    super(remote, 'read', name, remoteOffset, length, timeoutMs)
  }

  protected override rest(rest: number): number {
    return rest
  }

  protected override issue(peer: number, address: number, length: number, timeoutMs: number): void {
    readStaged(begin(this), peer, address, length, timeoutMs)
  }

  protected override finished(op: number, value: number): void {
    if (value === 0) {
      native.discard(attached(), op)
      fulfil(this, new Uint8Array(0))
    } else {
      fulfil(this, new Uint8Array(native.take(attached(), op)))
    }
  }
}

/** A read into memory of JavaScript, which is touched only when the bytes are in. */
export class ViewRead extends Transfer<number> {
  static {
    awaitedAsPromise(this)
  }

  readonly #view: Uint8Array

  constructor(
    remote: Remote,
    name: string,
    remoteOffset: number,
    length: number,
    timeoutMs: number,
    view: Uint8Array
  ) {
    super(remote, 'read', name, remoteOffset, length, timeoutMs)
    this.#view = view
  }

  protected override rest(rest: number): number {
    return Math.min(rest, this.#view.byteLength)
  }

  protected override issue(peer: number, address: number, length: number, timeoutMs: number): void {
    readStaged(begin(this), peer, address, length, timeoutMs)
  }

  protected override finished(op: number, value: number): void {
    fulfil(this, takeInto(op, value, this.#view))
  }
}

/** A write of memory of JavaScript, which was copied when the call returned. */
export class BytesWrite extends Transfer<number> {
  static {
    awaitedAsPromise(this)
  }

  #bytes: Uint8Array | undefined

  /** @param bytes copied in the call of `start`, and not kept beyond that */
  constructor(
    remote: Remote,
    name: string,
    remoteOffset: number,
    timeoutMs: number,
    bytes: Uint8Array
  ) {
    super(remote, 'write', name, remoteOffset, bytes.byteLength, timeoutMs)
    this.#bytes = bytes
  }

  protected override get repeatable(): boolean {
    return this.#bytes !== undefined
  }

  protected override get stages(): boolean {
    return true
  }

  protected override stage(op: number, peer: number): boolean {
    const bytes = this.#bytes as Uint8Array
    this.#bytes = undefined
    return stageWrite(op, peer, bytes)
  }

  protected override rest(rest: number): number {
    return rest
  }

  protected override issue(peer: number, address: number, length: number, timeoutMs: number): void {
    const bytes = this.#bytes
    if (bytes === undefined) {
      // It waited for its name with a copy: a list alone takes bytes from there.
      const op = this.takeStaged() as number
      native.transferList(attached(), op, peer, WRITE, Float64Array.of(STAGED, 0, address, length), timeoutMs)
      return
    }
    this.#bytes = undefined
    native.writeBytes(attached(), begin(this), peer, address, bytes, timeoutMs)
  }

  /** No entry is to blame: to its caller it is no list. */
  protected override error(failure: Failure, overrides?: Partial<MemlaneErrorInit>): Error {
    return super.error(failure, { ...overrides, entry: undefined })
  }

  protected override finished(_op: number, value: number): void {
    fulfil(this, value)
  }
}

/** Copies what is to be written into memory under `op`. False when there is no room: the operation has ended with the reason. */
export function stageWrite(op: number, peer: number, bytes: Uint8Array): boolean {
  if (!native.stageBytes(attached(), op, peer, WRITE, bytes.byteLength)) return false
  native.stageIn(attached(), op, 0, bytes)
  return true
}

/** Moves the bytes kept under `op` into `view`; JavaScript may have taken its memory away since the call. */
export function takeInto(op: number, bytes: number, view: Uint8Array): number {
  if (view.byteLength < bytes) {
    native.discard(attached(), op)
    throw unsafeMemoryError('the memory was detached while the operation was under way')
  }
  // Only what came: behind a message that is shorter than its receive the view keeps what it held.
  return native.takeInto(attached(), op, view.byteLength === bytes ? view : view.subarray(0, bytes))
}
