import { attached } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { awaitedAsPromise, begin, fulfil } from './future.js'
import { native } from './native.js'
import { STAGED } from './plan.js'
import { MemoryRegion, regionHandle } from './region.js'
import type { Remote } from './remote.js'
import { stageWrite, Transfer } from './transfer.js'

/** A write that the peer is told of by a message, behind it. */
export class NotifiedWrite extends Transfer<number> {
  static {
    awaitedAsPromise(this)
  }

  readonly #tag: number
  readonly #region: MemoryRegion | undefined
  readonly #offset: number
  #bytes: Uint8Array | undefined

  /** @param source a region, or bytes that are copied in the call of `start` and not kept beyond that */
  constructor(
    remote: Remote,
    name: string,
    remoteOffset: number,
    length: number,
    timeoutMs: number,
    tag: number,
    source: MemoryRegion | Uint8Array,
    offset: number
  ) {
    super(remote, 'write', name, remoteOffset, length, timeoutMs)
    this.#tag = tag
    this.#region = source instanceof MemoryRegion ? source : undefined
    this.#bytes = source instanceof MemoryRegion ? undefined : source
    this.#offset = offset
  }

  override about(): OperationSubject {
    return { ...super.about(), tag: this.#tag }
  }

  protected override get repeatable(): boolean {
    return this.#region !== undefined || this.#bytes !== undefined
  }

  protected override get stages(): boolean {
    return this.#region === undefined
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
    const region = this.#region === undefined ? STAGED : regionHandle(this.#region)
    const op = this.takeStaged() ?? begin(this)
    if (this.#bytes !== undefined && !this.stage(op, peer)) return
    native.writeNotify(attached(), op, peer, region, this.#offset, address, length, this.#tag, timeoutMs)
  }

  protected override finished(op: number, value: number): void {
    if (this.#region === undefined) native.discard(attached(), op)
    fulfil(this, value)
  }
}
