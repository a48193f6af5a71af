import { EventEmitter } from 'node:events'
import { admitUnheld, attached, FAILED, type Completion } from './completions.js'
import { fromFailure, illegalConstructor, MemlaneError } from './errors.js'
import { Lifetime } from './lifetime.js'
import { native, type EventRecord } from './native.js'
import type { Wire } from './options.js'

/** A peer with an open connection, as the events of an endpoint tell of it. */
export interface PeerEvent {
  /**
   * `host:port`. Of a peer that dialled us, the far end of its first connection, which is no address to dial; of one that we
   * dialled, the address as it was dialled.
   */
  readonly address: string
  /** How it speaks. */
  readonly wire: Wire
  /** Who dialled: the peer (`'inbound'`) or we (`'outbound'`). */
  readonly direction: 'inbound' | 'outbound'
  /**
   * 32 hexadecimal digits that name this start of it; absent on the legacy wire. Of an `outbound` peer it is the `instance` of
   * its endpoint info. Of an `inbound` one too where the connection is for its messages; where it is for reads and writes, the
   * digits are those of the context that it dials from.
   */
  readonly instance?: string
}

/** Every reason of a `disconnect`. */
export const DISCONNECT_REASONS = [
  'closed',
  'reset',
  'timeout',
  'evicted',
  'protocol',
  'refused',
  'auth',
  'fence',
  'local',
] as const

/**
 * Why the last connection of a peer ended: the other side closed it (`'closed'`), it broke (`'reset'`), the other side missed a
 * deadline (`'timeout'`), nobody used it (`'evicted'`), the other side broke the protocol (`'protocol'`), a request was refused
 * in a way that ends the connection (`'refused'`), the two do not agree about authentication (`'auth'`), it held memory of a
 * closing region for too long (`'fence'`), or this side closed it (`'local'`).
 */
export type DisconnectReason = (typeof DISCONNECT_REASONS)[number]

/** A peer whose last connection has ended: what its `peer` event said, and why. */
export interface DisconnectEvent extends PeerEvent {
  /** Why its last connection ended. */
  readonly reason: DisconnectReason
}

/** The events of a `TcpEndpoint`, with the arguments that their listeners are called with. */
export interface EndpointEvents {
  /** A peer has its first open connection. */
  peer: [peer: PeerEvent]
  /** The last connection of a peer has ended. */
  disconnect: [peer: DisconnectEvent]
  /** Something failed that is no operation. */
  error: [error: MemlaneError]
}

const EVENTS: readonly (keyof EndpointEvents)[] = ['peer', 'disconnect', 'error']

/** Tells the `error` listeners of an endpoint, in a turn of their own; nobody else is told when there are none. */
export let emitError: (endpoint: EndpointEmitter, error: MemlaneError) => void

/**
 * Where an endpoint's events come from: nothing is asked of the engine until there is a listener, and nothing any more once the
 * last one has gone.
 */
export abstract class EndpointEmitter extends EventEmitter<EndpointEvents> {
  readonly #endpoint: Lifetime
  /** The handle of the events that are watched. */
  #watched: number | undefined = undefined
  #lost = 0

  protected constructor(endpoint: Lifetime) {
    super()
    if (!(endpoint instanceof Lifetime)) throw illegalConstructor('TcpEndpoint', 'TcpEndpoint.listen()')
    this.#endpoint = endpoint
  }

  /**
   * Events that no listener was told of, because 1,024 of them waited for this thread already. An `error` event with the code
   * `ERR_LIMIT` says so each time that it grows.
   */
  get lostEvents(): number {
    return this.#lost
  }

  #watch(event: string | symbol): this {
    if (this.#watched === undefined && !this.#endpoint.closed && EVENTS.includes(event as keyof EndpointEvents)) {
      this.#watched = native.endpointEvents(attached(), this.#endpoint.use())
      this.#ask(this.#watched)
    }
    return this
  }

  #ask(watched: number): void {
    const completion: Completion = {
      complete: (_op, state) => this.#take(watched, state === FAILED),
      // Nobody cancels it: it ends with its endpoint.
      giveUp: () => undefined,
    }
    native.watchEvents(attached(), admitUnheld(completion), watched)
  }

  #take(watched: number, over: boolean): void {
    const { events, lost } = native.takeEvents(attached(), watched)
    // Listeners run behind the completions of this turn, each event by itself: what one of them throws takes nothing from
    // the others, nor from any operation.
    for (const event of events) queueMicrotask(() => this.#tell(event))
    if (lost > 0) queueMicrotask(() => this.#tellLost(lost))
    queueMicrotask(() => {
      if (!over && EVENTS.some((event) => this.listenerCount(event) > 0)) this.#ask(watched)
      else this.#unwatch(watched)
    })
  }

  #unwatch(watched: number): void {
    native.unwatchEvents(attached(), watched)
    this.#watched = undefined
  }

  #tell({ failure, ...who }: EventRecord): void {
    if (failure !== undefined) this.#tellError(fromFailure(failure))
    else if ('reason' in who) this.emit('disconnect', who as DisconnectEvent)
    else this.emit('peer', who as PeerEvent)
  }

  #tellLost(lost: number): void {
    this.#lost += lost
    const message = `${lost} events were dropped, because 1024 waited for this thread already`
    this.#tellError(new MemlaneError(message, { code: 'ERR_LIMIT', origin: 'local', retryable: false }))
  }

  /** A stranger can bring about an error: without a listener it must not become an exception. */
  #tellError(error: MemlaneError): void {
    if (this.listenerCount('error') > 0) this.emit('error', error)
  }

  static {
    // Not by `override`: declared here, their types would have to fit the EventEmitter of every version of @types/node.
    for (const method of ['on', 'addListener', 'prependListener'] as const) {
      const add = EventEmitter.prototype[method] as (event: string | symbol, listener: () => void) => EventEmitter
      Object.defineProperty(this.prototype, method, {
        value(this: EndpointEmitter, event: string | symbol, listener: () => void): EndpointEmitter {
          add.call(this, event, listener)
          return this.#watch(event)
        },
        writable: true,
        configurable: true,
      })
    }
    emitError = (endpoint, error) => queueMicrotask(() => endpoint.#tellError(error))
  }
}
