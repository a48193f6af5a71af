import { attached } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { begin, fulfil } from './future.js'
import { native } from './native.js'
import { Operation } from './operation.js'
import type { Received } from './options.js'
import type { Peers } from './peers.js'
import { lazily, regionBytes, regionHandle, type MemoryRegion } from './region.js'
import type { Remote } from './remote.js'
import { takeInto } from './transfer.js'

/** Any tag, to the engine. */
export const ANY_TAG = -1

/** A message under way; its result is the number of bytes sent. */
export class Send extends Operation<number> {
  readonly #remote: Remote
  readonly #peer: number
  readonly #bytes: number
  readonly #tag: number

  private constructor(remote: Remote, peer: number, bytes: number, tag: number) {
    super()
    this.#remote = remote
    this.#peer = peer
    this.#bytes = bytes
    this.#tag = tag
  }

  static bytes(remote: Remote, bytes: Uint8Array, tag: number, timeoutMs: number): Send {
    const peer = remote.lifetime.use()
    const send = new Send(remote, peer, bytes.byteLength, tag)
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
    const send = new Send(remote, peer, length, tag)
    const handle = regionHandle(region)
    native.sendRegion(attached(), begin(send), peer, handle, offset, length, tag, timeoutMs)
    return send
  }

  about(): OperationSubject {
    return { operation: 'send', peer: this.#remote.label, bytes: this.#bytes, tag: this.#tag }
  }

  protected override get peer(): number {
    return this.#peer
  }

  protected override succeeded(_op: number, value: number): void {
    fulfil(this, value)
  }
}

const NOTHING = new Uint8Array(0)

abstract class Receive extends Operation<Received> {
  readonly #endpoint: number
  readonly #peers: Peers
  readonly #room: number
  readonly #tag: number
  readonly #name: string | undefined

  protected constructor(endpoint: number, peers: Peers, room: number, tag: number, region?: string) {
    super()
    this.#endpoint = endpoint
    this.#peers = peers
    this.#room = room
    this.#tag = tag
    this.#name = region
  }

  about(): OperationSubject {
    return receiving(this.#room, this.#tag, this.#name)
  }

  override giveUp(op: number): void {
    native.cancelReceive(attached(), op, this.#endpoint)
  }

  protected override succeeded(op: number, value: number): void {
    const { messageBytes = value, tag = 0, from = '', instance, truncated = false } = native.detail(attached(), op)
    const received: Received = { bytes: value, messageBytes, tag, from, truncated, data: NOTHING }
    const peer = instance === undefined ? undefined : this.#peers.find(instance)
    if (peer !== undefined) received.peer = peer
    fulfil(this, this.withData(op, received))
  }

  protected withData(op: number, message: Received): Received {
    message.data = this.data(op, message.bytes)
    return message
  }

  protected abstract data(op: number, bytes: number): Uint8Array
}

/** What is told of a receive with so much room. */
export function receiving(bytes: number, tag: number, region: string | undefined): OperationSubject {
  return { operation: 'recv', region, bytes, tag: tag === ANY_TAG ? undefined : tag }
}

/** A receive posted with a region: the message goes there straight. */
export class RegionReceive extends Receive {
  readonly #target: Uint8Array | undefined
  readonly #region: MemoryRegion
  readonly #offset: number

  constructor(
    endpoint: number,
    region: MemoryRegion,
    offset: number,
    length: number,
    tag: number,
    exactSize: boolean,
    peers: Peers,
    from: number
  ) {
    super(endpoint, peers, length, tag, region.name)
    const handle = regionHandle(region)
    this.#region = region
    this.#offset = offset
    // Made now: the region may be closed when the message is there.
    this.#target = regionBytes(region, offset, length)
    native.recvRegion(attached(), begin(this), endpoint, handle, offset, length, tag, exactSize, from)
  }

  protected override data(_op: number, bytes: number): Uint8Array {
    return this.#target?.subarray(0, bytes) ?? this.#region.copyOut(this.#offset, bytes)
  }

  protected override withData(op: number, message: Received): Received {
    // A copy of what lies in a file, perhaps gigabytes, is made for whoever looks at it.
    return lazily(message, 'data', this.#target !== undefined, () => this.data(op, message.bytes))
  }
}

/** A receive posted with memory of JavaScript: the message waits in the engine's until it is whole. */
export class ViewReceive extends Receive {
  readonly #view: Uint8Array

  constructor(endpoint: number, view: Uint8Array, tag: number, exactSize: boolean, peers: Peers, from: number) {
    super(endpoint, peers, view.byteLength, tag)
    this.#view = view
    native.recvStaged(attached(), begin(this), endpoint, view.byteLength, tag, exactSize, from)
  }

  protected override data(op: number, bytes: number): Uint8Array {
    takeInto(op, bytes, this.#view)
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset, bytes)
  }
}

/** A receive whose message gets memory of its own, as much as it has bytes. */
export class OwnedReceive extends Receive {
  constructor(endpoint: number, maxBytes: number, tag: number, peers: Peers, from: number) {
    super(endpoint, peers, maxBytes, tag)
    native.recvStaged(attached(), begin(this), endpoint, maxBytes, tag, false, from)
  }

  protected override data(op: number, bytes: number): Uint8Array {
    const data = new Uint8Array(bytes)
    takeInto(op, bytes, data)
    return data
  }
}
