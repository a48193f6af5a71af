import { shown, typeError, valueError } from './arguments.js'
import { attached } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { MemlaneError } from './errors.js'
import { begin, fulfil } from './future.js'
import { checkInfo, describedInfo, parseUrl } from './info.js'
import type { Lifetime } from './lifetime.js'
import { native, type Failure, type Figures } from './native.js'
import { Call, nothing, Operation } from './operation.js'
import type { PeerInfo, RegionInfo, Wire } from './options.js'
import { makePeer, type Peer } from './peer.js'
import type { Peers } from './peers.js'
import { labelOf } from './remote.js'

const WANTED = 'tcp://host:port, { host, port }, what endpointInfo() gave or its JSON, or { name } for an announced one'
/** What an endpoint info is known by. */
const OF_INFO = ['host', 'port', 'mr_info', 'memlane']

/** Whom to connect to, and how. */
export interface Target {
  host: string
  port: number
  wire: Wire
  regions: Map<string, RegionInfo>
  /** Which start of an endpoint has to answer; any when undefined. */
  instance?: string | undefined
}

/**
 * The target that a URL, an endpoint info of at most so many bytes, or its JSON says. `wire` overrules what the info says. A host
 * and a port alone are what a URL says: every info of a foreign peer has `mr_info` too, be it empty.
 * `exact` wants the endpoint of the info, and not what may have come up at its address since.
 */
export function parseTarget(target: string | URL | PeerInfo, wire: Wire | undefined, exact = false, most?: () => number): Target {
  const text = target instanceof URL ? target.href : target
  if (typeof text === 'string' && !text.trimStart().startsWith('{')) {
    return { ...parseUrl(text), wire: wire ?? 'native', regions: new Map() }
  }
  if (text === null || (typeof text !== 'object' && typeof text !== 'string') || Array.isArray(text)) {
    throw typeError('target', WANTED, text)
  }
  if (typeof text === 'object' && Object.keys(text).length > 0 && !OF_INFO.some((key) => key in text)) {
    throw valueError(`target must be ${WANTED}; got an object with ${shown(Object.keys(text))}`)
  }
  const info = checkInfo(text, most)
  const isNative = info.native || info.isAddress
  if (wire === undefined && !isNative && !info.lists) {
    throw valueError(
      'the target is neither { host, port } alone nor an endpoint info, which has memlane or mr_info beside them. What endpointInfo() gave is one; ' +
        "or say how it is spoken with: connect(target, { wire: 'native' })"
    )
  }
  return {
    host: info.host,
    port: info.port,
    wire: wire ?? (isNative ? 'native' : 'legacy'),
    regions: info.regions,
    instance: exact ? info.instance : undefined,
  }
}

/** Refuses a peer that is another start of an endpoint than the one that was wanted. */
function checkInstance(host: string, port: number, instance: string, text: string): void {
  const peer = labelOf(host, port)
  if (describedInfo(text, peer).instance === instance) return
  throw new MemlaneError(`connect to ${peer}: another endpoint answers there than the one that was announced`, {
    code: 'ERR_CONNECT',
    origin: 'transport',
    retryable: true,
    peer,
    operation: 'connect',
  })
}

/** What is told of a connect. */
export function connecting({ host, port }: Target): OperationSubject {
  return { operation: 'connect', peer: labelOf(host, port) }
}

/** A connection being made; its result is the peer. */
export class Connect extends Operation<Peer> {
  readonly #owner: Lifetime
  readonly #peers: Peers
  readonly #target: Target
  readonly #handle: number
  readonly #figures: Figures | null

  constructor(owner: Lifetime, peers: Peers, target: Target, timeoutMs: number) {
    super()
    const endpoint = owner.use()
    const { host, port, wire } = target
    this.#owner = owner
    this.#peers = peers
    this.#target = target
    this.#handle = native.connect(attached(), begin(this), endpoint, host, port, wire === 'legacy', timeoutMs)
    // Now: when it has answered, its endpoint may be closed.
    this.#figures = native.peerFigures(attached(), this.#handle)
  }

  protected override get peer(): number {
    return this.#handle
  }

  about(): OperationSubject {
    return connecting(this.#target)
  }

  protected override succeeded(op: number): void {
    const { host, port, wire, regions, instance } = this.#target
    const text = wire === 'native' ? native.detail(attached(), op).text : undefined
    try {
      if (instance !== undefined && text !== undefined) checkInstance(host, port, instance, text)
      fulfil(this, makePeer(this.#handle, this.#owner, this.#figures as Figures, host, port, wire, regions, text, this.#peers))
    } catch (error) {
      this.#drop()
      throw error
    }
  }

  protected override failed(failure: Failure): void {
    this.#drop()
    super.failed(failure)
  }

  /** The engine made a peer to dial with; nobody got it. */
  #drop(): void {
    void new Call((op) => native.closePeer(attached(), op, this.#handle), nothing)
  }
}
