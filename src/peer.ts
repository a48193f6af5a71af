import { checkKeys, checkSignal, checkTimeout, DEFAULT_TIMEOUT_MS, type Bytes, type OwnBytes } from './arguments.js'
import { startBatch } from './batch.js'
import { attached } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { abortedError, illegalConstructor } from './errors.js'
import { followed, type TransferFuture } from './future.js'
import { Lifetime } from './lifetime.js'
import { native, type Figures } from './native.js'
import { startRead, startWrite } from './one-sided.js'
import { Call, nothing, Settled } from './operation.js'
import type {
  Assignment,
  BatchOptions,
  DescriptorOptions,
  DescriptorRegions,
  ReadIntoOptions,
  ReadOptions,
  ReadTensorOptions,
  RefreshOptions,
  RegionAssignment,
  RegionInfo,
  SendOptions,
  Wire,
  WriteOptions,
} from './options.js'
import type { Peers } from './peers.js'
import { prepareBatch, type PreparedBatch } from './prepared.js'
import type { MemoryRegion } from './region.js'
import { labelOf, Remote } from './remote.js'
import { startSend } from './send.js'
import { statsOf, type PeerStats } from './stats.js'
import type { DType, Tensor, TensorData, TensorIn, TensorOf, TensorOfAny } from './tensor.js'
import { readTensor } from './tensor-read.js'

/** The peer for a native handle. */
export let makePeer: (
  handle: number,
  owner: Lifetime,
  figures: Figures,
  host: string,
  port: number,
  wire: Wire,
  regions: Map<string, RegionInfo>,
  text: string | undefined,
  peers: Peers
) => Peer
/** What is known of a peer. */
export let remoteOf: (peer: Peer) => Remote

/**
 * The remote endpoint as seen from here.
 *
 * It outlives restarts of the other side: it dials again when used. Operations are on their way when the call returns.
 */
export class Peer {
  /** The peer's address, as it was dialled. */
  readonly host: string
  /** The peer's port. */
  readonly port: number
  /** How it is spoken with. On `'legacy'`, writes and sends are not acknowledged, and regions come from its info alone. */
  readonly wire: Wire
  readonly #remote: Remote
  readonly #figures: Figures
  #listed: ReadonlyMap<string, RegionInfo> | undefined = undefined
  #listedFrom: Map<string, RegionInfo> | undefined = undefined

  private constructor(host: string, port: number, wire: Wire, remote: Remote, figures: Figures) {
    if (!(remote instanceof Remote)) throw illegalConstructor('Peer', 'endpoint.connect()')
    this.host = host
    this.port = port
    this.wire = wire
    this.#remote = remote
    this.#figures = figures
  }

  /** Whether the peer, or the endpoint it belongs to, is closed here. */
  get closed(): boolean {
    return this.#remote.lifetime.closed
  }

  /** The peer's regions by name, as it last described them. {@link refresh} asks again. */
  get regions(): ReadonlyMap<string, RegionInfo> {
    // A copy, so that nobody edits what reads and writes look names up in.
    if (this.#listed === undefined || this.#listedFrom !== this.#remote.regions) {
      this.#listedFrom = this.#remote.regions
      this.#listed = new Map(this.#listedFrom)
    }
    return this.#listed
  }

  /**
   * The number of bytes read from the region `name` into `options.into`.
   *
   * Into a {@link MemoryRegion} the bytes go straight from the socket; into memory of JavaScript they are copied once, when
   * all are in. Failed or cancelled, it leaves a region's range undefined and memory of JavaScript untouched.
   *
   * A name that the peer had not described yet costs one round trip more, or two while others are asked for. `into` may
   * not be a resizable ArrayBuffer.
   *
   * @param name the region's name at the peer
   * @throws `TypeError` or `RangeError` at the call for wrong arguments, `ERR_OUT_OF_RANGE` also for a range that leaves
   *   `into` or the remote region; `ERR_CLOSED`; `ERR_UNSAFE_MEMORY`; `ERR_ACCESS` where `into` is a file that was mapped to be
   *   read only. The future fails with `ERR_REGION_NOT_FOUND`, `ERR_OUT_OF_RANGE`, `ERR_ACCESS`, `ERR_TIMEOUT`, `ERR_ABORTED`,
   *   `ERR_CONNECT`, `ERR_AUTH`, `ERR_PEER_CLOSED`, `ERR_PROTOCOL`, `ERR_CLOSED`; with `ERR_MEMORY` when the system has none to
   *   keep the bytes in, `ERR_FILE` where `into` is a truncated file, `ERR_UNSAFE_MEMORY` when it was detached meanwhile.
   */
  read(name: string, options: ReadIntoOptions): TransferFuture<number>
  /**
   * The bytes of the region `name`, in memory that nobody else can reach: all of an `ArrayBuffer` of its own, so that `byteOffset`
   * is 0 and `new Float32Array(bytes.buffer)` has just these bytes.
   *
   * A name that the peer had not described yet costs one round trip more, or two while others are asked for.
   *
   * @param name the region's name at the peer
   * @throws as `read` with `into`
   */
  read(name: string, options?: ReadOptions): TransferFuture<OwnBytes>
  read(name: string, options?: ReadOptions | ReadIntoOptions): TransferFuture<OwnBytes | number> {
    return startRead(this.#remote, name, options)
  }

  /**
   * The tensor in the region `name`: its `dtype`, its `shape`, and `data`, the array of that type, over memory that nobody else
   * can reach. With `rows` those rows of it alone.
   *
   * With `into` a region, `data` is what its `typed()` gives; with `into` an array, `data` is that array. A name that the peer
   * had not described yet costs one round trip more, or two while others are asked for.
   *
   * @param name the region's name at the peer, which made it with `dtype` and `shape`
   * @throws as `read`; `ERR_TENSOR`, at the call where the peer has described the region before: it has no dtype, or one that is
   *   not known here or not the one wanted, or is a single element and has no `rows`, or `into` is for another tensor. `RangeError`
   *   `ERR_OUT_OF_RANGE` for `rows` that leave it
   */
  readTensor<D extends DType>(name: string, options: ReadTensorOptions<D> & { dtype: D }): TransferFuture<TensorOf<D>>
  readTensor<A extends TensorData>(name: string, options: ReadTensorOptions & { into: A }): TransferFuture<TensorIn<A>>
  readTensor<D extends DType>(name: string, options: ReadTensorOptions & { into: MemoryRegion<D> }): TransferFuture<TensorOfAny<D>>
  readTensor(name: string, options?: ReadTensorOptions): TransferFuture<Tensor>
  readTensor(name: string, options?: ReadTensorOptions): TransferFuture<Tensor> {
    return readTensor(this.#remote, name, options)
  }

  /**
   * The number of bytes written to the region `name`. On the native wire they are applied at the peer when this resolves;
   * on the legacy wire they have left for it, nothing stronger is known.
   *
   * A {@link MemoryRegion} is sent from where it lies: what changes in it before this resolves may or may not be sent. Memory
   * of JavaScript was copied when the call returned. Failed or cancelled, it leaves the remote range undefined;
   * `outcome: 'unknown'` says that it may have been applied whole.
   *
   * A name that the peer had not described yet costs one round trip more, or two while others are asked for. Where a
   * restarted peer no longer knows an address, a write from memory of JavaScript fails once with `ERR_REGION_NOT_FOUND` and
   * `retryable`: the next one finds it.
   *
   * @param name the region's name at the peer
   * @throws `TypeError` or `RangeError` at the call for wrong arguments, `ERR_OUT_OF_RANGE` also for a range that leaves the
   *   source or the remote region; `ERR_CLOSED`; `ERR_UNSAFE_MEMORY`. The future fails with `ERR_REGION_NOT_FOUND`,
   *   `ERR_OUT_OF_RANGE`, `ERR_ACCESS`, `ERR_LIMIT` (`retryable`: more waits for this peer than `maxQueuedBytesPerPeer` lets in,
   *   and nothing was copied or sent; a region's bytes do not count), `ERR_TIMEOUT`, `ERR_ABORTED`, `ERR_CONNECT`, `ERR_AUTH`,
   *   `ERR_PEER_CLOSED`, `ERR_PROTOCOL`, `ERR_CLOSED`, `ERR_MEMORY` when the system has none for the copy, `ERR_FILE` where the
   *   source is a truncated file; with `notify` also as that of {@link send} does.
   */
  write(name: string, source: MemoryRegion | Bytes, options?: WriteOptions): TransferFuture<number> {
    return startWrite(this.#remote, name, source, options)
  }

  /**
   * The number of bytes read by all of `assignments`: any number of ranges, of any regions, as one operation.
   *
   * Everything is checked before anything is started. Ends differ: into a region the bytes go straight from the socket;
   * those for memory of JavaScript are kept until all of the batch is in and copied then. Failed or cancelled, it leaves the
   * ranges of local regions undefined and memory of JavaScript untouched. Entries are read in no certain order.
   *
   * Names that the peer had not described yet cost one round trip more, or two while others are asked for, all together.
   *
   * @throws as `read` with `into`; what is wrong with one entry names its index. The future's failure has it as `entry`, where
   *   one entry is to blame. `ERR_MEMORY` when the system has none to keep the bytes for memory of JavaScript in.
   */
  readBatch(assignments: readonly Assignment[], options?: BatchOptions): TransferFuture<number>
  /**
   * The same for many ranges between one region of the peer and one of this process, without an object per entry.
   *
   * @param descriptors three integers an entry, in bytes: `localOffset, remoteOffset, length`. Copied when the call returns.
   */
  readBatch(descriptors: Float64Array, options: DescriptorOptions): TransferFuture<number>
  readBatch(entries: readonly Assignment[] | Float64Array, options?: BatchOptions | DescriptorOptions): TransferFuture<number> {
    return startBatch(this.#remote, 'read', entries, options)
  }

  /**
   * The number of bytes written by all of `assignments`: any number of ranges, to any regions, as one operation. On the
   * native wire all are applied at the peer when this resolves; on the legacy wire they have left for it.
   *
   * Everything is checked before anything is started. Regions are sent from where they lie; memory of JavaScript was copied
   * when the call returned. Failed or cancelled, some entries may have been applied and others not. Entries are applied in
   * no certain order.
   *
   * Names that the peer had not described yet cost one round trip more, or two while others are asked for, all
   * together. Where a restarted peer no longer knows an address, a batch with memory of JavaScript in it fails once with
   * `ERR_REGION_NOT_FOUND` and `retryable`.
   *
   * @throws as `write`; what is wrong with one entry names its index. The future's failure has it as `entry`, where one entry
   *   is to blame. `ERR_MEMORY` when the system has none for the copy.
   */
  writeBatch(assignments: readonly Assignment[], options?: BatchOptions): TransferFuture<number>
  /**
   * The same for many ranges between one region of this process and one of the peer, without an object per entry.
   *
   * @param descriptors three integers an entry, in bytes: `localOffset, remoteOffset, length`. Copied when the call returns.
   */
  writeBatch(descriptors: Float64Array, options: DescriptorOptions): TransferFuture<number>
  writeBatch(entries: readonly Assignment[] | Float64Array, options?: BatchOptions | DescriptorOptions): TransferFuture<number> {
    return startBatch(this.#remote, 'write', entries, options)
  }

  /**
   * A batch between regions that is checked and resolved now, to be started any number of times.
   *
   * A name that the peer had not described yet is asked for by the first start.
   *
   * @throws `TypeError` or `RangeError` for wrong arguments, with the index of the entry, memory of JavaScript at a local end
   *   among them; `ERR_CLOSED`; on the legacy wire, which cannot ask, `ERR_REGION_NOT_FOUND`
   */
  prepare(operation: 'read' | 'write', assignments: readonly RegionAssignment[]): PreparedBatch
  /**
   * The same for many ranges between one region of this process and one of the peer.
   *
   * @param descriptors three integers an entry, in bytes: `localOffset, remoteOffset, length`. Copied when the call returns.
   */
  prepare(operation: 'read' | 'write', descriptors: Float64Array, regions: DescriptorRegions): PreparedBatch
  prepare(
    operation: 'read' | 'write',
    entries: readonly RegionAssignment[] | Float64Array,
    regions?: DescriptorRegions
  ): PreparedBatch {
    return prepareBatch(this.#remote, operation, entries, regions)
  }

  /**
   * The number of bytes sent, once a receive of the peer's holds them (native), or once they have left (legacy).
   *
   * Memory of JavaScript was copied when the call returned; a {@link MemoryRegion} is sent from where it lies. Messages of
   * one peer arrive in the order of the calls. Failed or cancelled with `outcome: 'unknown'`, it may have arrived.
   *
   * @throws `TypeError` or `RangeError` at the call for wrong arguments; `ERR_CLOSED`; `ERR_UNSAFE_MEMORY`. The future fails
   *   with `ERR_MESSAGE_SIZE` (longer than its receive), `ERR_NO_RECEIVE`, `ERR_LIMIT` (as for `write`, or longer than the peer's
   *   `maxOperationBytes`), `ERR_TIMEOUT`, `ERR_ABORTED`, `ERR_CONNECT`, `ERR_AUTH`, `ERR_PEER_CLOSED`, `ERR_PROTOCOL`,
   *   `ERR_CLOSED`, `ERR_MEMORY` when the system has none for the copy, `ERR_FILE` where the source is a truncated file.
   */
  send(source: MemoryRegion | Bytes, options?: SendOptions): TransferFuture<number> {
    return startSend(this.#remote, source, options)
  }

  /**
   * The peer's regions, asked anew. On the legacy wire, which cannot ask, those of its info.
   *
   * Names that are new are found without this; it is for those that were replaced by something longer.
   *
   * @throws `TypeError` or `RangeError` at the call for wrong arguments; `ERR_CLOSED`. The future fails with `ERR_TIMEOUT`,
   *   `ERR_ABORTED`, `ERR_CONNECT`, `ERR_AUTH`, `ERR_LIMIT` (the peer's info is longer than `maxInfoBytes`, there or here), `ERR_PEER_CLOSED`,
   *   `ERR_PROTOCOL` or `ERR_CLOSED`.
   */
  refresh(options: RefreshOptions = {}): TransferFuture<ReadonlyMap<string, RegionInfo>> {
    checkKeys(options, ['timeoutMs', 'signal'])
    const timeoutMs = options.timeoutMs === undefined ? DEFAULT_TIMEOUT_MS : checkTimeout(options.timeoutMs)
    const signal = options.signal === undefined ? undefined : checkSignal(options.signal)
    const peer = this.#remote.lifetime.use()
    const subject: OperationSubject = { operation: 'refresh', peer: this.#remote.label }
    if (signal?.aborted === true) return Settled.failed(abortedError('describe', signal.reason), subject)
    if (!this.#remote.describes) return Settled.value(this.regions, subject)
    const call = new Call<ReadonlyMap<string, RegionInfo>>(
      (op) => native.describe(attached(), op, peer, timeoutMs, 0),
      (op) => {
        this.#remote.adopt(native.detail(attached(), op).text ?? '')
        return this.regions
      },
      subject,
      peer
    )
    return followed(call, signal)
  }

  /**
   * Counters of this peer's operations. On a closed peer they are the last. Its connections are those of every peer of the
   * context with this address: `lanes.open` tells of them all.
   */
  stats(): PeerStats {
    return statsOf(this.#figures)
  }

  /**
   * Ends every operation of this peer with `ERR_CLOSED`, receives for its messages among them. Its connections close with
   * the last peer of the context that has this address, that of its messages with the last peer of the endpoint that has
   * it: operations of the others go on. Calling it again gives the same promise.
   */
  close(): Promise<void> {
    const subject: OperationSubject = { operation: 'close', closes: 'peer', peer: this.#remote.label }
    return this.#remote.lifetime.end((handle) => {
      this.#remote.leave()
      return new Call<void>((op) => native.closePeer(attached(), op, handle), nothing, subject).wait()
    })
  }

  /** {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  static {
    makePeer = (handle, owner, figures, host, port, wire, regions, text, peers) => {
      const label = labelOf(host, port)
      const remote = new Remote(new Lifetime(handle, 'peer', owner), label, wire === 'native', regions, peers)
      remote.peer = new Peer(host, port, wire, remote, figures)
      if (text !== undefined) remote.adopt(text)
      return remote.peer
    }
    remoteOf = (peer) => peer.#remote
  }
}
