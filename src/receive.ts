import {
  byteCount,
  bytesOf,
  checkBoolean,
  checkKeys,
  checkRange,
  checkSignal,
  checkTag,
  part,
  type Bytes,
} from './arguments.js'
import { attached } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { abortedError } from './errors.js'
import { awaitedAsPromise, begin, followed, fulfil, type TransferFuture } from './future.js'
import type { Lifetime } from './lifetime.js'
import { native } from './native.js'
import { Operation, Settled } from './operation.js'
import type { Received, ReceiveOptions } from './options.js'
import type { Peers } from './peers.js'
import { checkStorable, lazily, MemoryRegion, regionBytes, regionHandle } from './region.js'
import { takeInto } from './transfer.js'

/** Any tag, to the engine. */
export const ANY_TAG = -1

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
function receiving(bytes: number, tag: number, region: string | undefined): OperationSubject {
  return { operation: 'recv', region, bytes, tag: tag === ANY_TAG ? undefined : tag }
}

/** A receive posted with a region: the message goes there straight. */
class RegionReceive extends Receive {
  static {
    awaitedAsPromise(this)
  }

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
class ViewReceive extends Receive {
  static {
    awaitedAsPromise(this)
  }

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
  static {
    awaitedAsPromise(this)
  }

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

/** `recv` of an endpoint. */
export function startReceive(
  lifetime: Lifetime,
  peers: Peers,
  target: MemoryRegion | Bytes,
  options: ReceiveOptions = {}
): TransferFuture<Received> {
  checkKeys(options, ['tag', 'from', 'exactSize', 'offset', 'length', 'signal'])
  const tag = options.tag === undefined ? ANY_TAG : checkTag(options.tag)
  const from = peers.sender(options.from)
  const exactSize = options.exactSize !== undefined && checkBoolean(options.exactSize, 'exactSize')
  const offset = options.offset === undefined ? 0 : byteCount(options.offset, 'offset')
  const length = options.length === undefined ? undefined : byteCount(options.length, 'length')
  const signal = options.signal === undefined ? undefined : checkSignal(options.signal)
  const endpoint = lifetime.use()
  const isRegion = target instanceof MemoryRegion
  const view = isRegion ? undefined : part(bytesOf(target, 'target'), offset, length, 'the target')
  const count = length ?? (isRegion ? Math.max(0, target.length - offset) : 0)
  if (isRegion) checkRange(offset, count, target.length, 'the target')
  if (isRegion) checkStorable(target, 'the target')
  if (signal?.aborted === true) {
    const region = isRegion ? target.name : undefined
    return Settled.failed(abortedError('recv', signal.reason), receiving(view?.byteLength ?? count, tag, region))
  }
  const receive =
    view === undefined
      ? new RegionReceive(endpoint, target as MemoryRegion, offset, count, tag, exactSize, peers, from)
      : new ViewReceive(endpoint, view, tag, exactSize, peers, from)
  return followed(receive, signal)
}
