import { announce } from './announcing.js'
import {
  byteCount,
  bytesOf,
  checkBoolean,
  checkHost,
  checkKeys,
  checkName,
  checkRange,
  checkSignal,
  checkTag,
  checkTimeout,
  DEFAULT_TIMEOUT_MS,
  integer,
  part,
  typeError,
  valueError,
  type Bytes,
  type Integer,
} from './arguments.js'
import { attached } from './completions.js'
import { Connect, parseTarget } from './connect.js'
import { endEndpoint, makeEndpoint, TcpContext } from './context.js'
import { checkDirectory, type Announcement, type Directory, type NamedTarget } from './directory.js'
import { abortedError, fromFailure, illegalConstructor } from './errors.js'
import { follow, type TransferFuture } from './future.js'
import { ACCESS } from './info.js'
import { Lifetime } from './lifetime.js'
import { checkLimits, limitNames } from './limits.js'
import { MessageStream } from './message-stream.js'
import { ANY_TAG, RegionReceive, ViewReceive } from './messages.js'
import { nameOf, NamedConnect } from './named-connect.js'
import { native } from './native.js'
import { Call, Settled } from './operation.js'
import type {
  AllocOptions,
  ConnectOptions,
  EndpointInfo,
  EndpointStats,
  ListenOptions,
  MessagesOptions,
  PeerInfo,
  Received,
  ReceiveOptions,
  Wire,
} from './options.js'
import type { Peer } from './peer.js'
import { processDirectory } from './process-directory.js'
import { makeRegion, MemoryRegion } from './region.js'

const WIRES: readonly Wire[] = ['native', 'legacy']

/**
 * A listening socket with its regions, posted receives and peers.
 *
 * Peers read and write its regions without its JavaScript: also while this thread is busy. An idle endpoint does not keep
 * the process alive; a pending operation, a posted receive among them, does.
 */
export class TcpEndpoint {
  readonly #lifetime: Lifetime
  readonly #host: string
  readonly #port: number
  readonly #context: TcpContext | undefined
  readonly #directory: Directory
  #announcement: Announcement | undefined = undefined

  private constructor(lifetime: Lifetime, context: TcpContext | undefined, directory: Directory) {
    if (!(lifetime instanceof Lifetime)) throw illegalConstructor('TcpEndpoint', 'TcpEndpoint.listen()')
    this.#lifetime = lifetime
    this.#context = context
    this.#directory = directory
    const { host, port } = this.endpointInfo()
    this.#host = host
    this.#port = port
  }

  /**
   * An endpoint that listens.
   *
   * @throws `TypeError` or `RangeError` at the call for wrong options, limits beside a `context` among them; `ERR_CLOSED`
   *   when the context is closed. The promise rejects with `ERR_LISTEN` when the address is taken or not this machine's,
   *   with `ERR_DIRECTORY` or `ERR_TIMEOUT` when it cannot be announced under its `name`, with `ERR_CLOSED` when the context
   *   was closed meanwhile.
   */
  static listen(options: ListenOptions = {}): Promise<TcpEndpoint> {
    checkKeys(options, ['host', 'port', 'context', 'name', 'directory', ...limitNames()])
    const host = options.host === undefined ? '127.0.0.1' : checkHost(options.host)
    const port = options.port === undefined ? 0 : integer(options.port, 'port', 0, 65_535)
    const name = options.name === undefined ? undefined : checkName(options.name)
    const directory = options.directory === undefined ? processDirectory : checkDirectory(options.directory)
    const limits = checkLimits(options)
    const { context } = options
    if (context !== undefined) checkContext(context, limits)
    const lifetime = makeEndpoint(context, limits)
    const handle = lifetime.use()
    const listening = new Call(
      (op) => native.listen(attached(), op, handle, host, port),
      () => new TcpEndpoint(lifetime, context, directory)
    )
    const announced = listening.then(async (endpoint) => {
      if (name !== undefined) endpoint.#announcement = await announce(lifetime, directory, name, endpoint.endpointInfo())
      return endpoint
    })
    return announced.catch(async (error: unknown) => {
      await endEndpoint(lifetime, context)
      throw error
    })
  }

  /** The address that it listens on. */
  get host(): string {
    return this.#host
  }

  /** The port that it listens on, the system's choice where 0 was asked for. */
  get port(): number {
    return this.#port
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#lifetime.closed
  }

  /** The announcement of the `name` that it was made with. */
  get announcement(): Announcement | undefined {
    return this.#announcement
  }

  /**
   * What a peer needs to find this endpoint and its regions: plain JSON with DLSlime's keys, to be sent as it is.
   *
   * @throws `ERR_CLOSED`
   */
  endpointInfo(): EndpointInfo {
    return JSON.parse(native.endpointInfo(attached(), this.#lifetime.use()) as string) as EndpointInfo
  }

  /**
   * A region of `length` zeroed bytes, usable at once and by peers that connected before.
   *
   * @param name 1 to 255 bytes of UTF-8, no NUL, no lone surrogates; unique among the open regions of the endpoint
   * @param length bytes, 1 to 2^53 - 1
   * @throws `TypeError` or `RangeError` for wrong arguments; `ERR_REGION_EXISTS`; `ERR_MEMORY`; `ERR_CLOSED`
   */
  alloc(name: string, length: Integer, options: AllocOptions = {}): MemoryRegion {
    checkName(name)
    const bytes = byteCount(length, 'length', 1)
    checkKeys(options, ['access'])
    const access = options.access ?? 'none'
    if (!ACCESS.includes(access)) throw valueError(`access must be one of ${ACCESS.join(', ')}`)
    const { handle, address, failure } = native.alloc(attached(), this.#lifetime.use(), name, bytes, access)
    if (failure !== undefined) throw fromFailure(failure)
    return makeRegion(handle, this.#lifetime, name, address, bytes, access)
  }

  /**
   * The peer at `target`, once it has answered: native peers with their regions, legacy peers with a connection.
   *
   * @param target `tcp://host:port`, `tcp://[v6]:port`, or what the peer's `endpointInfo()` gave (or its JSON). An info
   *   without `memlane` is a foreign peer's, which is spoken with on the legacy wire. `{ name }` is whoever announces that
   *   name in the endpoint's directory: waited for, within the one deadline, if nobody does yet or nobody answers behind it.
   * @throws `TypeError` or `RangeError` at the call for wrong arguments; `ERR_PROTOCOL` for an info that is malformed, longer
   *   than 1 MiB, of another version, or gives a name twice; `ERR_CLOSED`. The future fails with `ERR_CONNECT`,
   *   `ERR_TIMEOUT`, `ERR_ABORTED`, `ERR_PEER_CLOSED`, `ERR_PROTOCOL` or `ERR_CLOSED`, and with `ERR_DIRECTORY` for a name
   *   when the directory cannot be asked. `waitSync` of a connect to a name throws a `TypeError`: the answer needs the event loop.
   */
  connect(target: string | URL | PeerInfo | NamedTarget, options: ConnectOptions = {}): TransferFuture<Peer> {
    checkKeys(options, ['timeoutMs', 'signal', 'wire'])
    const { wire } = options
    if (wire !== undefined && !WIRES.includes(wire)) throw valueError(`wire must be one of ${WIRES.join(', ')}`)
    const timeoutMs = options.timeoutMs === undefined ? DEFAULT_TIMEOUT_MS : checkTimeout(options.timeoutMs)
    const signal = options.signal === undefined ? undefined : checkSignal(options.signal)
    const name = nameOf(target)
    const checked = name === undefined ? parseTarget(target as PeerInfo, wire) : undefined
    this.#lifetime.use()
    if (signal?.aborted === true) return Settled.failed(abortedError('connect', signal.reason))
    const connect =
      checked === undefined
        ? new NamedConnect(this.#lifetime, this.#directory, name as string, wire, timeoutMs)
        : new Connect(this.#lifetime, checked, timeoutMs)
    if (signal !== undefined) follow(connect, signal)
    return connect
  }

  /**
   * The next message, stored in `target`. Receives take messages first in, first out, whoever sends them.
   *
   * It waits until it is matched, cancelled, or the endpoint closes; there is no deadline. In a {@link MemoryRegion} the
   * message lands straight, whole or not yet; memory of JavaScript is filled when the message is whole. A cancelled receive
   * consumes no message.
   *
   * @throws `TypeError` or `RangeError` at the call for wrong arguments; `ERR_CLOSED`; `ERR_UNSAFE_MEMORY`. The future fails
   *   with `ERR_MESSAGE_SIZE` (only with `exactSize`; the message is consumed), `ERR_ABORTED`, `ERR_CLOSED`, or
   *   `ERR_UNSAFE_MEMORY` when `target` was detached meanwhile.
   */
  recv(target: MemoryRegion | Bytes, options: ReceiveOptions = {}): TransferFuture<Received> {
    checkKeys(options, ['tag', 'exactSize', 'offset', 'length', 'signal'])
    const tag = options.tag === undefined ? ANY_TAG : checkTag(options.tag)
    const exactSize = options.exactSize !== undefined && checkBoolean(options.exactSize, 'exactSize')
    const offset = options.offset === undefined ? 0 : byteCount(options.offset, 'offset')
    const length = options.length === undefined ? undefined : byteCount(options.length, 'length')
    const signal = options.signal === undefined ? undefined : checkSignal(options.signal)
    const endpoint = this.#lifetime.use()
    const isRegion = target instanceof MemoryRegion
    const view = isRegion ? undefined : part(bytesOf(target, 'target'), offset, length, 'the target')
    const count = length ?? (isRegion ? Math.max(0, target.length - offset) : 0)
    if (isRegion) checkRange(offset, count, target.length, 'the target')
    if (signal?.aborted === true) return Settled.failed(abortedError('recv', signal.reason))
    const receive =
      view === undefined
        ? new RegionReceive(endpoint, target as MemoryRegion, offset, count, tag, exactSize)
        : new ViewReceive(endpoint, view, tag, exactSize)
    if (signal !== undefined) follow(receive, signal)
    return receive
  }

  /**
   * Messages as they come, for `for await`: as receives do, they take the next ones, whoever sends them.
   *
   * It posts `buffered` receives at the first `next()` and as many again as are used up; so many messages at most are taken
   * ahead of the reader, and more wait as any that have no receive yet. Each message has memory of its own. They come in the order in which
   * they were whole, which for those of one sender is the order in which it sent them.
   *
   * It ends when the endpoint closes, after the messages that were taken by then. Leaving the loop, `return()`, `throw()` and
   * the end of `await using` withdraw the posted receives, which consume no message then, and resolve when that is done. What
   * was taken already and not yet read, at most `buffered` messages, is lost with that: `buffered: 1` keeps it to one.
   *
   * While it is being read it holds the process, as a posted receive does.
   *
   * @throws `TypeError` or `RangeError` at the call for wrong options; `ERR_CLOSED`. `next()` rejects with `ERR_MEMORY` when
   *   the system has none to receive in, and the messages end with that.
   */
  messages(options: MessagesOptions = {}): AsyncIterableIterator<Received> & AsyncDisposable {
    checkKeys(options, ['tag', 'maxBytes', 'buffered'])
    const tag = options.tag === undefined ? ANY_TAG : checkTag(options.tag)
    const maxBytes = options.maxBytes === undefined ? 65_536 : byteCount(options.maxBytes, 'maxBytes')
    const buffered = options.buffered === undefined ? 16 : integer(options.buffered, 'buffered', 1, 65_536, ' messages')
    this.#lifetime.use()
    return new MessageStream(this.#lifetime, tag, maxBytes, buffered)
  }

  /**
   * Counters since it listens, and the limits in force, which are its context's.
   *
   * @throws `ERR_CLOSED`
   */
  stats(): EndpointStats {
    return JSON.parse(native.stats(attached(), this.#lifetime.use()) as string) as EndpointStats
  }

  /**
   * Ends it: listens no more, fails what is pending with `ERR_CLOSED`, closes peers and regions. Once this resolves, no peer
   * touches its regions again. Calling it again gives the same promise.
   */
  close(): Promise<void> {
    return endEndpoint(this.#lifetime, this.#context)
  }

  /** {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function checkContext(context: unknown, limits: Record<string, number>): void {
  if (!(context instanceof TcpContext)) throw typeError('context', 'a TcpContext', context)
  const [name] = Object.keys(limits)
  if (name !== undefined) throw valueError(`${name} belongs to the context: set it there, new TcpContext({ ${name} })`)
}
