import { inspect, type InspectOptionsStylized } from 'node:util'
import { announce } from './announcing.js'
import {
  byteCount,
  checkAddress,
  checkHost,
  checkKeys,
  checkName,
  checkSignal,
  checkTag,
  checkTimeout,
  DEFAULT_TIMEOUT_MS,
  integer,
  shown,
  typeError,
  valueError,
  type Bytes,
  type Integer,
} from './arguments.js'
import { alloc } from './alloc.js'
import { attached } from './completions.js'
import { Connect, connecting, parseTarget } from './connect.js'
import { endEndpoint, makeEndpoint, TcpContext, tokenNames } from './context.js'
import { checkDirectory, lostNameError, type Announcement, type Directory, type NamedTarget } from './directory.js'
import { abortedError } from './errors.js'
import { emitError, EndpointEmitter } from './events.js'
import { followed, type TransferFuture } from './future.js'
import { parseAdvertised } from './info.js'
import { printed } from './inspect.js'
import type { Lifetime } from './lifetime.js'
import { checkDrain, checkLimits, limitNames } from './limits.js'
import { mapFile } from './map-file.js'
import { MessageStream } from './message-stream.js'
import { metricsOf } from './metrics.js'
import { nameOf, NamedConnect } from './named-connect.js'
import { native, type Figures } from './native.js'
import { Call, Settled } from './operation.js'
import type {
  AllocOptions,
  CloseOptions,
  ConnectOptions,
  EndpointInfo,
  InfoOptions,
  ListenOptions,
  MapFileOptions,
  MessagesOptions,
  PeerInfo,
  PublishOptions,
  Received,
  ReceiveOptions,
  Security,
  TensorOptions,
  TlsOptions,
  Wire,
} from './options.js'
import type { Peer } from './peer.js'
import { Peers } from './peers.js'
import { processDirectory } from './process-directory.js'
import { publish, type Publishable } from './publish.js'
import { ANY_TAG, startReceive } from './receive.js'
import type { MemoryRegion } from './region.js'
import { checkToken } from './rights.js'
import { checkSecurity, SECURITY_OPTIONS } from './security.js'
import { statsOf, type EndpointStats } from './stats.js'
import type { DType } from './tensor.js'
import { checkNewTls, wrongTls } from './tls.js'

const WIRES: readonly Wire[] = ['native', 'legacy']

/**
 * A listening socket with its regions, posted receives and peers.
 *
 * Peers read and write its regions without its JavaScript: also while this thread is busy. An idle endpoint does not keep
 * the process alive, but for {@link ref}; a pending operation, a posted receive among them, does.
 *
 * It is an `EventEmitter` with the events of {@link EndpointEvents}: `peer`, `disconnect` and `error`. Listeners do not keep
 * the process alive. Without a listener for it an `error` is nobody's, and throws nothing.
 */
export class TcpEndpoint extends EndpointEmitter {
  readonly #lifetime: Lifetime
  readonly #host: string
  readonly #port: number
  readonly #context: TcpContext | undefined
  readonly #peers = new Peers()
  readonly #figures: Figures
  readonly #directory: Directory
  readonly #tokens: readonly string[]
  #announcement: Announcement | undefined = undefined

  private constructor(lifetime: Lifetime, context: TcpContext | undefined, directory: Directory, tokens: readonly string[]) {
    super(lifetime)
    this.#lifetime = lifetime
    this.#context = context
    this.#directory = directory
    this.#tokens = tokens
    this.#figures = native.endpointFigures(attached(), lifetime.use()) as Figures
    const { host, port } = native.address(attached(), lifetime.use()) as { host: string; port: number }
    this.#host = host
    this.#port = port
  }

  /**
   * An endpoint that listens.
   *
   * @throws `TypeError` or `RangeError` at the call for wrong options, limits beside a `context` among them; `ERR_CLOSED`
   *   when the context is closed; `ERR_LIMIT` when the system gives this process no thread or no descriptors for one of its
   *   own. The promise rejects with `ERR_LISTEN` when the address is taken or not this machine's,
   *   with `ERR_INSECURE_BIND` when others reach it and there is neither a token nor TLS,
   *   with `ERR_DIRECTORY` or `ERR_TIMEOUT` when it cannot be announced under its `name`, with `ERR_CLOSED` when the context
   *   was closed meanwhile.
   */
  static listen(options: ListenOptions = {}): Promise<TcpEndpoint> {
    const own = ['host', 'port', 'context', 'localAddress', 'advertise', 'name', 'directory']
    checkKeys(options, [...own, ...limitNames(), ...SECURITY_OPTIONS])
    const host = options.host === undefined ? '127.0.0.1' : checkHost(options.host)
    const port = options.port === undefined ? 0 : integer(options.port, 'port', 0, 65_535)
    const localAddress = options.localAddress === undefined ? undefined : checkAddress(options.localAddress, 'localAddress')
    const advertised = options.advertise === undefined ? undefined : parseAdvertised(options.advertise)
    const name = options.name === undefined ? undefined : checkName(options.name)
    const directory = options.directory === undefined ? processDirectory : checkDirectory(options.directory)
    const limits = checkLimits(options)
    const { context } = options
    const security = checkSecurity(options)
    if (context !== undefined) checkContext(context, limits, options)
    const lifetime = makeEndpoint(context, limits, security)
    const handle = lifetime.use()
    if (localAddress !== undefined) native.localAddress(attached(), handle, localAddress)
    if (advertised !== undefined) native.advertise(attached(), handle, advertised.host, advertised.port)
    const listening = new Call(
      (op) => native.listen(attached(), op, handle, host, port),
      () => new TcpEndpoint(lifetime, context, directory, tokenNames(context, security)),
      { operation: 'listen' }
    )
    const announced = listening.then(async (endpoint) => {
      if (name !== undefined) await endpoint.announce(name)
      return endpoint
    })
    return announced.catch(async (error: unknown) => {
      await endEndpoint(lifetime, context, undefined, 'untold')
      throw error
    })
  }

  /**
   * Gives the endpoint, and all of its context, other certificates: connections that are made from now on have these, those that
   * are up go on with the ones they have. What is left out is not kept.
   *
   * @throws `TypeError` when there is something wrong with them, or the endpoint was made without `tls`; nothing has changed
   *   then. `ERR_CLOSED` when the endpoint is closed.
   */
  setTls(tls: TlsOptions): void {
    const wrong = native.endpointTls(attached(), this.#lifetime.use(), checkNewTls(tls))
    if (typeof wrong === 'string') throw wrongTls(wrong)
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

  /**
   * Announces the endpoint under `name` in its directory, as {@link listen} does with the option of that name, but when its regions
   * are made: who waits for the name connects at once, and finds them. It is withdrawn when the endpoint closes.
   *
   * An endpoint may have several names.
   *
   * @param name as the option `name` of {@link listen}
   * @throws `TypeError` at the call for a wrong name; `ERR_CLOSED`. The promise rejects with `ERR_DIRECTORY`, `ERR_TIMEOUT` when the
   *   directory does not answer within 30 seconds, and `ERR_CLOSED` when the endpoint was closed meanwhile.
   */
  announce(name: string): Promise<Announcement> {
    const checked = checkName(name)
    const info = this.endpointInfo()
    const announcing = announce(this.#lifetime, this.#directory, checked, info)
    return announcing.then((announcement) => {
      this.#announcement = announcement
      void announcement.lost.then(
        () => emitError(this, lostNameError(checked)),
        // It never rejects; where a directory's does, it has not said that the name is lost.
        () => undefined
      )
      return announcement
    })
  }

  /** The announcement that was made last, by {@link announce} or with the `name` that it listens with. */
  get announcement(): Announcement | undefined {
    return this.#announcement
  }

  /**
   * What a peer needs to find this endpoint and its regions: plain JSON with DLSlime's keys, to be sent as it is. A region that
   * is for some tokens only is not in it, unless `as` names one of them; native peers ask for those that they may reach.
   *
   * @throws `TypeError` for wrong options, a name of no token among them; `ERR_CLOSED`
   */
  endpointInfo(options?: InfoOptions): EndpointInfo {
    checkKeys(options, ['as'])
    const as = options?.as === undefined ? undefined : checkToken(options.as, 'as', this.#tokens)
    return JSON.parse(native.endpointInfo(attached(), this.#lifetime.use(), as) as string) as EndpointInfo
  }

  /**
   * A region of `length` zeroed bytes, usable at once and by peers that connected before.
   *
   * Peers reach memory of the engine's alone: bytes of JavaScript are copied into the region's `buffer`.
   *
   * @param name 1 to 255 bytes of UTF-8, no NUL, no lone surrogates; unique among the open regions of the endpoint
   * @param length bytes, 1 to 2^53 - 1
   * @throws `TypeError` or `RangeError` for wrong arguments; `ERR_REGION_EXISTS`; `ERR_MEMORY`; `ERR_CLOSED`
   */
  alloc(name: string, length: Integer, options?: AllocOptions): MemoryRegion
  /**
   * A region for a tensor, as long as `dtype` and `shape` make it, zeroed. Both are in the endpoint info, and
   * `peer.readTensor` brings it as the right array; `region.typed()` is that array here.
   *
   * @throws as above; `RangeError` for a shape without elements, or with more bytes than 2^53 - 1
   */
  alloc<D extends DType>(name: string, tensor: TensorOptions<D>): MemoryRegion<D>
  alloc(name: string, size: Integer | TensorOptions, options?: AllocOptions): MemoryRegion {
    return alloc(this.#lifetime, this.#tokens, name, size, options)
  }

  /**
   * A region that holds a copy of a tensor, which peers may read: {@link alloc} with the `dtype` and `shape` of `tensor`, and its
   * elements. They are in it before anybody can see its name. The array is the caller's again when this returns.
   *
   * The type is what the class of the array says, the shape is one dimension, unless `tensor` has them. To show peers other
   * elements, store into `region.typed()`, which they may read half changed; or close the region and publish anew.
   *
   * @param name as for {@link alloc}
   * @param tensor a typed array; a tensor of ONNX Runtime; `{ data, shape, dtype }`, where `dims` is another name for `shape` and
   *   `type` for `dtype`
   * @throws `TypeError` or `RangeError` for wrong arguments, among them a shape that has not as many elements as the array, an
   *   array of no element, one that cannot hold the type, texts, and data on a GPU; `ERR_REGION_EXISTS`; `ERR_MEMORY`;
   *   `ERR_CLOSED`; `ERR_UNSAFE_MEMORY` for an array that was detached or can shrink
   */
  publish(name: string, tensor: Publishable, options?: PublishOptions): MemoryRegion {
    return publish(this.#lifetime, this.#tokens, name, tensor, options)
  }

  /**
   * A region over a file, none of which is read for that: a file of any size is served at once, and what a peer writes is in
   * the file. The engine reads cold pages on its I/O thread when a peer wants them, so the others of its peers wait as long.
   *
   * The file may be replaced, written and made longer meanwhile; `length` stays. Where it is truncated, peers' requests for
   * what is gone fail with `ERR_OUT_OF_RANGE`, one whose bytes were on their way ends its connection, and local operations
   * fail with `ERR_FILE`. A request that is under way in the moment of the truncation may still find zeros between the new
   * end and the end of its page, and a write in that moment may make the file longer again.
   *
   * @param name as for {@link alloc}
   * @param path a regular file, as `fs` takes it
   * @throws `TypeError` or `RangeError` at the call for wrong arguments; `ERR_CLOSED`. The promise rejects with `ERR_FILE`,
   *   where `cause` is the system's error if there is one: there is no such file, no right to it, it is none or empty, the
   *   range leaves it; with `ERR_REGION_EXISTS`, `ERR_ABORTED`, `ERR_CLOSED`.
   */
  mapFile<D extends DType = DType>(
    name: string,
    path: string | URL | Buffer,
    options?: MapFileOptions<D>
  ): Promise<MemoryRegion<D>> {
    return mapFile(this.#lifetime, this.#tokens, name, path, options) as Promise<MemoryRegion<D>>
  }

  /**
   * The peer at `target`, once it has answered: native peers with their regions, legacy peers with a connection.
   *
   * @param target `tcp://host:port`, `tcp://[v6]:port`, `{ host, port }`, or what the peer's `endpointInfo()` gave (or its JSON). An
   *   info with `mr_info` and without `memlane` is a foreign peer's, which is spoken with on the legacy wire. `{ name }` is whoever announces that
   *   name in the endpoint's directory: waited for, within the one deadline, if nobody does yet or nobody answers behind it.
   * @throws `TypeError` or `RangeError` at the call for wrong arguments; `ERR_PROTOCOL` for an info that is malformed, longer
   *   than `maxInfoBytes`, of another version, or gives a name twice; `ERR_CLOSED`. The future fails with `ERR_CONNECT`,
   *   `ERR_AUTH`, `ERR_LIMIT` (the peer's info is longer than `maxInfoBytes`, there or here), `ERR_TIMEOUT`, `ERR_ABORTED`, `ERR_PEER_CLOSED`,
   *   `ERR_PROTOCOL` or `ERR_CLOSED`, and with `ERR_DIRECTORY` for a name when the directory cannot be asked. `waitSync` of a
   *   connect to a name throws a `TypeError`: the answer needs the event loop.
   */
  connect(target: string | URL | PeerInfo | NamedTarget, options: ConnectOptions = {}): TransferFuture<Peer> {
    checkKeys(options, ['timeoutMs', 'signal', 'wire'])
    const { wire } = options
    if (wire !== undefined && !WIRES.includes(wire)) throw valueError(`wire must be one of ${WIRES.join(', ')}; got ${shown(wire)}`)
    const timeoutMs = options.timeoutMs === undefined ? DEFAULT_TIMEOUT_MS : checkTimeout(options.timeoutMs)
    const signal = options.signal === undefined ? undefined : checkSignal(options.signal)
    const name = nameOf(target)
    const mostInfoBytes = (): number => this.stats().limits.maxInfoBytes
    const checked = name === undefined ? parseTarget(target as PeerInfo, wire, false, mostInfoBytes) : undefined
    this.#lifetime.use()
    if (signal?.aborted === true) {
      return Settled.failed(abortedError('connect', signal.reason), checked === undefined ? { operation: 'connect' } : connecting(checked))
    }
    const connect =
      checked === undefined
        ? new NamedConnect(this.#lifetime, this.#peers, this.#directory, name as string, wire, timeoutMs, mostInfoBytes)
        : new Connect(this.#lifetime, this.#peers, checked, timeoutMs)
    return followed(connect, signal)
  }

  /**
   * The next message, stored in `target`. Receives take messages first in, first out, whoever sends them; with `tag` or
   * `from` only those that are wanted, and leave the others to the next.
   *
   * It waits until it is matched, cancelled, or the endpoint closes; there is no deadline. In a {@link MemoryRegion} the
   * message lands straight, whole or not yet; memory of JavaScript is filled when the message is whole. A cancelled receive
   * consumes no message.
   *
   * @throws `TypeError` or `RangeError` at the call for wrong arguments, a `from` of another endpoint or on the legacy wire
   *   among them; `ERR_CLOSED`, also of `from`; `ERR_UNSAFE_MEMORY`; `ERR_ACCESS` for a file that was mapped to be read only.
   *   The future fails with `ERR_MESSAGE_SIZE` (only with `exactSize`; the message is consumed), `ERR_FILE` where the target is
   *   a truncated file, `ERR_ABORTED`, `ERR_CLOSED`, or `ERR_UNSAFE_MEMORY` when `target` was detached meanwhile.
   */
  recv(target: MemoryRegion | Bytes, options?: ReceiveOptions): TransferFuture<Received> {
    return startReceive(this.#lifetime, this.#peers, target, options)
  }

  /**
   * Messages as they come, for `for await`: as receives do, they take the next ones, with `tag` or `from` those wanted.
   *
   * It posts `buffered` receives at the first `next()` and as many again as are used up; so many messages at most are taken
   * ahead of the reader, and more wait as any that have no receive yet. Each message has memory of its own. They come in the
   * order in which they were whole, which for those of one sender is the order in which it sent them.
   *
   * It ends when the endpoint, or the peer that it is `from`, closes, after the messages that were taken by then. Leaving the
   * loop, `return()`, `throw()` and the end of `await using` withdraw the posted receives, which consume no message then, and
   * resolve when that is done. What was taken already and not yet read, at most `buffered` messages, is lost with that:
   * `buffered: 1` keeps it to one. A `signal` that fires withdraws them too, and loses nothing: `next()` first gives what was taken,
   * then rejects once with `ERR_ABORTED`, its reason as `cause`.
   *
   * While it is being read it holds the process, as a posted receive does.
   *
   * @throws `TypeError` or `RangeError` at the call for wrong options; `ERR_CLOSED`. `next()` rejects with `ERR_MEMORY` when
   *   the system has none to receive in, and the messages end with that.
   */
  messages(options: MessagesOptions = {}): AsyncIterableIterator<Received> & AsyncDisposable {
    checkKeys(options, ['tag', 'from', 'maxBytes', 'buffered', 'signal'])
    const tag = options.tag === undefined ? ANY_TAG : checkTag(options.tag)
    const from = this.#peers.sender(options.from)
    const maxBytes = options.maxBytes === undefined ? 65_536 : byteCount(options.maxBytes, 'maxBytes')
    const buffered = options.buffered === undefined ? 16 : integer(options.buffered, 'buffered', 1, 65_536, ' messages')
    const signal = options.signal === undefined ? undefined : checkSignal(options.signal)
    this.#lifetime.use()
    return new MessageStream(this.#lifetime, tag, maxBytes, buffered, this.#peers, from, signal)
  }

  /**
   * Counters since it was made, those of its closed peers and regions included, and the limits in force, which are its
   * context's. On a closed endpoint they are the last.
   */
  stats(): EndpointStats {
    return statsOf(this.#figures)
  }

  /**
   * {@link stats} for Prometheus, in its text exposition format 0.0.4: serve it as `text/plain; version=0.0.4`.
   * docs/metrics.md lists the names, which are stable. Of several endpoints, ask their context.
   */
  metrics(): string {
    return metricsOf(this.stats())
  }

  /**
   * From now on it keeps the process alive until it is closed, also while it is idle: for a process that only serves. As of a
   * `net.Server`; of a closed endpoint it does nothing.
   *
   * @returns the endpoint
   */
  ref(): this {
    this.#lifetime.hold(true)
    return this
  }

  /**
   * Takes {@link ref} back: an idle endpoint keeps nothing alive again, as at first. Pending operations still do.
   *
   * @returns the endpoint
   */
  unref(): this {
    this.#lifetime.hold(false)
    return this
  }

  /**
   * Ends it: listens no more, fails what is pending with `ERR_CLOSED`, closes peers and regions. Bodies that peers are sending
   * and answers that they are reading may get there within `drainMs`, nothing new is taken; then connections are cut. It
   * resolves within `drainMs` and a second, also when a peer hangs. Once this resolves, no peer touches its regions again.
   * Calling it again gives the same promise; the options of the first call hold.
   *
   * @throws `TypeError` or `RangeError` for wrong options, also when it is closing already
   */
  close(options: CloseOptions = {}): Promise<void> {
    return endEndpoint(this.#lifetime, this.#context, checkDrain(options))
  }

  /** {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal What it is, and not how it is made. */
  [inspect.custom](depth: number, options: InspectOptionsStylized): unknown {
    if (!(#lifetime in this)) return this
    const { host, port, closed } = this
    const name = this.#announcement?.name
    const owned = { regions: this.#lifetime.owned('region'), peers: this.#lifetime.owned('peer') }
    return printed('TcpEndpoint', { host, port, ...(name !== undefined && { name }), closed, ...owned }, depth, options)
  }
}

function checkContext(context: unknown, limits: Record<string, number>, options: Security): void {
  if (!(context instanceof TcpContext)) throw typeError('context', 'a TcpContext', context)
  const [name = SECURITY_OPTIONS.find((one) => options[one] !== undefined)] = Object.keys(limits)
  if (name !== undefined) throw valueError(`${name} belongs to the context: set it there, new TcpContext({ ${name} })`)
}
