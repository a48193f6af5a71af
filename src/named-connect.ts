import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers'
import { checkKeys, checkName, shown, valueError } from './arguments.js'
import { Connect, parseTarget } from './connect.js'
import { directoryError, type Directory, type NamedTarget } from './directory.js'
import { closedError, MemlaneError, type ErrorCode } from './errors.js'
import { abortReason, fail, fulfil, TransferFuture } from './future.js'
import type { Lifetime } from './lifetime.js'
import type { PeerInfo, Wire } from './options.js'
import type { Peer } from './peer.js'
import type { Peers } from './peers.js'

const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 500
const FAR_MS = 2 ** 31 - 1

/** What a dial fails with where nobody is, somebody hangs, or whoever was there has gone in that moment. */
const NOBODY_THERE: readonly ErrorCode[] = ['ERR_CONNECT', 'ERR_TIMEOUT', 'ERR_PEER_CLOSED', 'ERR_PROTOCOL']

/** The name of a target that is one, checked. */
export function nameOf(target: unknown): string | undefined {
  if (typeof target !== 'object' || target === null || target instanceof URL || 'host' in target || !('name' in target)) {
    return undefined
  }
  checkKeys(target, ['name'])
  return checkName((target as NamedTarget).name)
}

/**
 * A connection to whoever announces a name: looks it up again and again, then dials.
 *
 * An announcement behind which nobody answers, or another endpoint does, is what a process left that died: the search goes on.
 */
export class NamedConnect extends TransferFuture<Peer> {
  readonly #owner: Lifetime
  readonly #peers: Peers
  readonly #directory: Directory
  readonly #name: string
  readonly #wire: Wire | undefined
  readonly #timeoutMs: number
  readonly #mostInfoBytes: () => number
  readonly #deadline: number
  readonly #over = new AbortController()
  readonly #forget: () => void
  /** Also holds the process, as every pending operation does. */
  readonly #timer: NodeJS.Timeout
  #pause: NodeJS.Timeout | undefined = undefined
  #dialling: Connect | undefined = undefined
  #last: MemlaneError | undefined = undefined

  constructor(
    owner: Lifetime,
    peers: Peers,
    directory: Directory,
    name: string,
    wire: Wire | undefined,
    timeoutMs: number,
    mostInfoBytes: () => number
  ) {
    super()
    owner.use()
    this.#owner = owner
    this.#peers = peers
    this.#directory = directory
    this.#name = name
    this.#wire = wire
    this.#timeoutMs = timeoutMs
    this.#mostInfoBytes = mostInfoBytes
    this.#deadline = timeoutMs === 0 ? Infinity : performance.now() + timeoutMs
    this.#timer = timeoutMs === 0 ? setInterval(() => undefined, FAR_MS) : setTimeout(() => this.#expire(), timeoutMs)
    this.#forget = owner.first(() => this.#giveUp(closedError('endpoint')))
    void this.#search()
  }

  override cancel(): void {
    const what = this.#dialling === undefined ? 'waiting for somebody to announce it' : 'dialling'
    this.#giveUp(this.#failure('ERR_ABORTED', `was cancelled while ${what}`, abortReason(this)))
  }

  override waitSync(): Peer
  override waitSync(seconds: number): Peer | null
  override waitSync(seconds?: number): Peer | null {
    if (!this.#over.signal.aborted) {
      throw valueError('waitSync cannot wait for a name: the directory answers by the event loop that it would block. Await it')
    }
    return seconds === undefined ? super.waitSync() : super.waitSync(seconds)
  }

  async #search(): Promise<void> {
    const { signal } = this.#over
    try {
      for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
        const info = await this.#directory.lookup(this.#name, { signal })
        if (!signal.aborted && info !== undefined) await this.#dial(info)
        // Less up to a half: those who wait for one name do not ask for it in step.
        if (!signal.aborted) await this.#rest(pause * (1 - Math.random() / 2))
      }
    } catch (cause) {
      this.#giveUp(directoryError('connect', this.#name, cause))
    }
  }

  async #dial(info: PeerInfo): Promise<void> {
    const target = parseTarget(info, this.#wire, true, this.#mostInfoBytes)
    const left = this.#deadline === Infinity ? 0 : Math.max(1, Math.ceil(this.#deadline - performance.now()))
    this.#dialling = new Connect(this.#owner, this.#peers, target, left)
    let peer: Peer
    try {
      peer = await this.#dialling.wait()
    } catch (error) {
      this.#dialling = undefined
      if (!(error instanceof MemlaneError) || !NOBODY_THERE.includes(error.code)) throw error
      this.#last = error
      return
    }
    this.#dialling = undefined
    if (this.#over.signal.aborted) {
      await peer.close()
      return
    }
    this.#end()
    fulfil(this, peer)
  }

  #rest(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#pause = setTimeout(resolve, milliseconds)
    })
  }

  #expire(): void {
    const what =
      this.#last === undefined && this.#dialling === undefined
        ? `nobody announced that name within ${this.#timeoutMs} ms`
        : `whoever announced that name did not answer within ${this.#timeoutMs} ms`
    const why = this.#last === undefined ? '' : ` (${this.#last.message})`
    this.#giveUp(this.#failure('ERR_TIMEOUT', `${what}${why}`, this.#last))
  }

  #failure(code: ErrorCode, what: string, cause: unknown): MemlaneError {
    return new MemlaneError(`connect to ${shown(this.#name)}: ${what}`, {
      code,
      origin: 'local',
      retryable: code === 'ERR_TIMEOUT',
      peer: this.#last?.peer,
      operation: 'connect',
      cause,
    })
  }

  #giveUp(error: Error): void {
    if (this.#over.signal.aborted) return
    const dialling = this.#dialling
    this.#end()
    fail(this, error)
    dialling?.cancel()
  }

  /** Nothing of it goes on, once its last lookup is over. */
  #end(): void {
    clearTimeout(this.#timer)
    clearInterval(this.#timer)
    clearTimeout(this.#pause)
    this.#forget()
    this.#over.abort()
  }
}
