import { attached } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { begin, fulfil } from './future.js'
import { native } from './native.js'
import { Operation } from './operation.js'
import type { Received } from './options.js'
import { regionBytes, regionHandle, type MemoryRegion } from './region.js'
import type { Remote } from './remote.js'
import { takeInto } from './transfer.js'

/** Any tag, to the engine. */
export const ANY_TAG = -1

/** A message under way; its result is the number of bytes sent. */
export class Send extends Operation<number> {
  readonly #remote: Remote
  readonly #bytes: number
  readonly #tag: number

  private constructor(remote: Remote, bytes: number, tag: number) {
    super()
    this.#remote = remote
    this.#bytes = bytes
    this.#tag = tag
  }

  static bytes(remote: Remote, bytes: Uint8Array, tag: number, timeoutMs: number): Send {
    const peer = remote.lifetime.use()
    const send = new Send(remote, bytes.byteLength, tag)
    native.sendBytes(attached(), begin(send), peer, bytes, tag, timeoutMs)
    return send
  }

  static region(
    remote: Remote,
    region: MemoryRegion,
    offset: number,
    length: number,
    tag: number,
    timeoutMs: number
  ): Send {
    const peer = remote.lifetime.use()
    const send = new Send(remote, length, tag)
    const handle = regionHandle(region)
    native.sendRegion(attached(), begin(send), peer, handle, offset, length, tag, timeoutMs)
    return send
  }

  about(): OperationSubject {
    return { operation: 'send', peer: this.#remote.label, bytes: this.#bytes, tag: this.#tag }
  }

  protected override succeeded(_op: number, value: number): void {
    fulfil(this, value)
  }
}

abstract class Receive extends Operation<Received> {
  readonly #room: number
  readonly #tag: number
  readonly #region: string | undefined

  protected constructor(room: number, tag: number, region?: string) {
    super()
    this.#room = room
    this.#tag = tag
    this.#region = region
  }

  about(): OperationSubject {
    return receiving(this.#room, this.#tag, this.#region)
  }

  protected override succeeded(op: number, value: number): void {
    const { messageBytes = value, tag = 0, from = '', truncated = false } = native.detail(attached(), op)
    fulfil(this, { bytes: value, messageBytes, tag, from, truncated, data: this.data(op, value) })
  }

  protected abstract data(op: number, bytes: number): Uint8Array
}

/** What is told of a receive with so much room. */
export function receiving(bytes: number, tag: number, region: string | undefined): OperationSubject {
  return { operation: 'recv', region, bytes, tag: tag === ANY_TAG ? undefined : tag }
}

/** A receive posted with a region: the message goes there straight. */
export class RegionReceive extends Receive {
  readonly #target: Uint8Array

  constructor(
    endpoint: number,
    region: MemoryRegion,
    offset: number,
    length: number,
    tag: number,
    exactSize: boolean
  ) {
    super(length, tag, region.name)
    const handle = regionHandle(region)
    // Made now: the region may be closed when the message is there.
    this.#target = regionBytes(region, offset, length)
    native.recvRegion(attached(), begin(this), endpoint, handle, offset, length, tag, exactSize)
  }

  protected override data(_op: number, bytes: number): Uint8Array {
    return this.#target.subarray(0, bytes)
  }
}

/** A receive posted with memory of JavaScript: the message waits in the engine's until it is whole. */
export class ViewReceive extends Receive {
  readonly #view: Uint8Array

  constructor(endpoint: number, view: Uint8Array, tag: number, exactSize: boolean) {
    super(view.byteLength, tag)
    this.#view = view
    native.recvStaged(attached(), begin(this), endpoint, view.byteLength, tag, exactSize)
  }

  protected override data(op: number, bytes: number): Uint8Array {
    takeInto(op, bytes, this.#view)
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset, bytes)
  }
}

/** A receive whose message gets memory of its own, as much as it has bytes. */
export class OwnedReceive extends Receive {
  constructor(endpoint: number, maxBytes: number, tag: number) {
    super(maxBytes, tag)
    native.recvStaged(attached(), begin(this), endpoint, maxBytes, tag, false)
  }

  protected override data(op: number, bytes: number): Uint8Array {
    const data = new Uint8Array(bytes)
    takeInto(op, bytes, data)
    return data
  }
}
