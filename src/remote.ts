import { MemlaneError } from './errors.js'
import { attached } from './completions.js'
import { describedInfo } from './info.js'
import { Inquiries } from './inquiries.js'
import type { Lifetime } from './lifetime.js'
import { native } from './native.js'
import type { RegionInfo } from './options.js'
import type { Peer } from './peer.js'
import type { Peers } from './peers.js'

/** `host:port`, with brackets around an IPv6 address. */
export function labelOf(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** What is known of a peer: its handle, how it is spoken with, and its regions as it last described them. */
export class Remote {
  readonly lifetime: Lifetime
  /** `host:port`, as failures name it. */
  readonly label: string
  /** Whether the peer answers DESCRIBE. */
  readonly describes: boolean
  /** The peers of the endpoint that it belongs to. */
  readonly peers: Peers
  /** What the user has of it. */
  peer: Peer | undefined = undefined
  regions: Map<string, RegionInfo>
  /** Which start of its endpoint it last was; those that are not asked do not say. */
  instance: string | undefined = undefined
  #text: string | undefined = undefined
  #inquiries: Inquiries | undefined = undefined

  constructor(lifetime: Lifetime, label: string, describes: boolean, regions: Map<string, RegionInfo>, peers: Peers) {
    this.lifetime = lifetime
    this.label = label
    this.describes = describes
    this.regions = regions
    this.peers = peers
  }

  /** The questions that its operations ask it. */
  get inquiries(): Inquiries {
    return (this.#inquiries ??= new Inquiries(this))
  }

  /** The error for a name that the peer has no region of. */
  notFound(operation: string, name: string, entry?: number): MemlaneError {
    return new MemlaneError(`${operation} ${operation === 'read' ? 'from' : 'to'} ${this.label}: the peer ${this.#lacks(name)}`, {
      code: 'ERR_REGION_NOT_FOUND',
      origin: 'remote',
      retryable: false,
      peer: this.label,
      operation,
      entry,
    })
  }

  #lacks(name: string): string {
    const region = `region named ${JSON.stringify(name)}`
    return this.describes
      ? `has no ${region}, or none that this process may reach (alloc grants nothing unless it is told)`
      : `listed no ${region} in its info, and on the legacy wire it cannot be asked`
  }

  /** Takes over what the peer said about itself. The map is replaced, so that whoever holds the old one is not surprised. */
  adopt(text: string): void {
    if (text === this.#text) return
    const { regions, instance } = describedInfo(text, this.label)
    this.regions = regions
    this.#text = text
    if (instance !== this.instance && !this.lifetime.closed) this.#become(instance)
  }

  /** Its messages are nobody's any more. */
  leave(): void {
    this.peers.move(this, this.instance, undefined)
  }

  #become(instance: string | undefined): void {
    this.peers.move(this, this.instance, instance)
    this.instance = instance
    if (instance !== undefined) native.identify(attached(), this.lifetime.use(), instance)
  }
}
