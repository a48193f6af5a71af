import { abortedError, MemlaneError } from './errors.js'
import { followed } from './future.js'
import type { Lifetime } from './lifetime.js'
import type { Received } from './options.js'
import type { Peers } from './peers.js'
import { OwnedReceive } from './receive.js'

interface Reader {
  resolve(result: IteratorResult<Received, undefined>): void
  reject(error: Error): void
}

const OVER: IteratorResult<Received, undefined> = Object.freeze({ done: true, value: undefined })

/** Receives that are posted again and again. Messages come in the order in which they were whole. */
export class MessageStream implements AsyncIterableIterator<Received, undefined, undefined> {
  readonly #endpoint: Lifetime
  readonly #tag: number
  readonly #maxBytes: number
  readonly #buffered: number
  readonly #peers: Peers
  readonly #from: number
  readonly #signal: AbortSignal | undefined
  readonly #posted = new Set<OwnedReceive>()
  /** Messages that nobody has asked for yet; together with the posted receives never more than `buffered`. */
  readonly #ready: Received[] = []
  readonly #readers: Reader[] = []
  #failure: Error | undefined = undefined
  #over = false
  #returned = false
  #ended: (() => void) | undefined = undefined
  #ending: Promise<void> | undefined = undefined

  constructor(endpoint: Lifetime, tag: number, maxBytes: number, buffered: number, peers: Peers, from: number, signal?: AbortSignal) {
    this.#endpoint = endpoint
    this.#tag = tag
    this.#maxBytes = maxBytes
    this.#buffered = buffered
    this.#peers = peers
    this.#from = from
    this.#signal = signal
  }

  next(): Promise<IteratorResult<Received, undefined>> {
    const message = this.#ready.shift()
    // Before anybody waits: what is posted now may be matched by a message that came before it.
    this.#fill()
    if (message !== undefined) return Promise.resolve({ done: false, value: message })
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject })
      this.#settle()
    })
  }

  /** Withdraws the receives; resolves when no more message can be taken. */
  async return(): Promise<IteratorResult<Received, undefined>> {
    this.#returned = true
    this.#ready.length = 0
    this.#stop()
    await (this.#ending ??= new Promise((resolve) => {
      this.#ended = resolve
      this.#settle()
    }))
    this.#failure = undefined
    return OVER
  }

  async throw(error?: unknown): Promise<IteratorResult<Received, undefined>> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #fill(): void {
    while (!this.#over && this.#posted.size + this.#ready.length < this.#buffered) {
      if (this.#endpoint.closed) return this.#stop()
      // Also where it fired while nothing was posted, which would have followed it.
      if (this.#signal?.aborted === true) return this.#abort(abortedError('recv', this.#signal.reason))
      const receive = followed(new OwnedReceive(this.#endpoint.use(), this.#maxBytes, this.#tag, this.#peers, this.#from), this.#signal)
      this.#posted.add(receive)
      receive.wait().then(
        (message) => this.#received(receive, message),
        (error: Error) => this.#failed(receive, error)
      )
    }
  }

  #abort(error: Error): void {
    this.#failure ??= error
    this.#stop()
  }

  #stop(): void {
    this.#over = true
    for (const receive of this.#posted) receive.cancel()
  }

  #received(receive: OwnedReceive, message: Received): void {
    this.#posted.delete(receive)
    const reader = this.#readers.shift()
    if (reader !== undefined) {
      reader.resolve({ done: false, value: message })
      this.#fill()
    } else if (!this.#returned) {
      this.#ready.push(message)
    }
    this.#settle()
  }

  #failed(receive: OwnedReceive, error: Error): void {
    this.#posted.delete(receive)
    const code = error instanceof MemlaneError ? error.code : undefined
    // Those that the stream itself has withdrawn are no failure of it.
    const isWanted = code === 'ERR_ABORTED' && (this.#over || this.#signal?.aborted !== true)
    if (code !== 'ERR_CLOSED' && !isWanted) this.#failure ??= error
    this.#stop()
    this.#settle()
  }

  /** Tells whoever waits that there will be nothing more, once that is so. */
  #settle(): void {
    if (!this.#over || this.#posted.size > 0) return
    for (const reader of this.#readers.splice(0)) {
      const failure = this.#failure
      this.#failure = undefined
      if (failure === undefined) reader.resolve(OVER)
      else reader.reject(failure)
    }
    this.#ended?.()
  }
}
