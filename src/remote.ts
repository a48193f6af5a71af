import { MemlaneError } from './errors.js'
import { describedRegions } from './info.js'
import type { Lifetime } from './lifetime.js'
import type { RegionInfo } from './options.js'

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
  regions: Map<string, RegionInfo>
  #text: string | undefined = undefined

  constructor(lifetime: Lifetime, label: string, describes: boolean, regions: Map<string, RegionInfo>) {
    this.lifetime = lifetime
    this.label = label
    this.describes = describes
    this.regions = regions
  }

  /** The error for a name that the peer has no region of. */
  notFound(operation: string, name: string, entry?: number): MemlaneError {
    return new MemlaneError(`${operation} to ${this.label}: the peer has no region named ${JSON.stringify(name)}`, {
      code: 'ERR_REGION_NOT_FOUND',
      origin: 'remote',
      retryable: false,
      peer: this.label,
      operation,
      entry,
    })
  }

  /** Takes over what the peer said about itself. The map is replaced, so that whoever holds the old one is not surprised. */
  adopt(text: string): void {
    if (text === this.#text) return
    this.regions = describedRegions(text, this.label)
    this.#text = text
  }
}
