import { clearTimeout, setTimeout } from 'node:timers'
import { attached } from './completions.js'
import { MemlaneError } from './errors.js'
import { begin, fulfil } from './future.js'
import { checkInfo, parseUrl } from './info.js'
import type { Lifetime } from './lifetime.js'
import { native, type Failure } from './native.js'
import { Call, nothing, Operation } from './operation.js'
import type { PeerInfo, RegionInfo, Wire } from './options.js'
import { makePeer, type Peer } from './peer.js'

/** Whom to connect to, and how. */
export interface Target {
  host: string
  port: number
  wire: Wire
  regions: Map<string, RegionInfo>
}

/** The target that a URL, an endpoint info or its JSON names. `wire` overrules what the info says. */
export function parseTarget(target: string | URL | PeerInfo, wire: Wire | undefined): Target {
  const text = target instanceof URL ? target.href : target
  if (typeof text === 'string' && !text.trimStart().startsWith('{')) {
    return { ...parseUrl(text), wire: wire ?? 'native', regions: new Map() }
  }
  const info = checkInfo(text)
  return { host: info.host, port: info.port, wire: wire ?? (info.native ? 'native' : 'legacy'), regions: info.regions }
}

/** A connection being made; its result is the peer. */
export class Connect extends Operation<Peer> {
  readonly #owner: Lifetime
  readonly #target: Target
  readonly #handle: number
  readonly #timeoutMs: number
  readonly #timer: NodeJS.Timeout | undefined = undefined
  #timedOut = false

  constructor(owner: Lifetime, target: Target, timeoutMs: number) {
    super()
    const endpoint = owner.use()
    const { host, port, wire } = target
    this.#owner = owner
    this.#target = target
    this.#timeoutMs = timeoutMs
    this.#handle = native.connect(attached(), begin(this), endpoint, host, port, wire === 'legacy')
    if (timeoutMs > 0) {
      // The engine's limits hold also while this thread is busy; this one bounds them all together.
      this.#timer = setTimeout(() => {
        this.#timedOut = true
        this.cancel()
      }, timeoutMs)
    }
  }

  protected override succeeded(op: number): void {
    clearTimeout(this.#timer)
    const { host, port, wire, regions } = this.#target
    const text = wire === 'native' ? native.detail(attached(), op).text : undefined
    fulfil(this, makePeer(this.#handle, this.#owner, host, port, wire, regions, text))
  }

  protected override failed(failure: Failure): void {
    clearTimeout(this.#timer)
    // The engine made a peer to dial with; nobody got it.
    void new Call((op) => native.closePeer(attached(), op, this.#handle), nothing)
    super.failed(failure)
  }

  protected override error(failure: Failure): Error {
    if (!this.#timedOut || failure.code !== 'ERR_ABORTED') return super.error(failure)
    return new MemlaneError(`connect to ${failure.peer ?? this.#target.host}: no answer in ${this.#timeoutMs} ms`, {
      code: 'ERR_TIMEOUT',
      origin: 'local',
      retryable: true,
      peer: failure.peer,
      operation: 'connect',
    })
  }
}
