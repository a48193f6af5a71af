import type { DisconnectEvent, PeerEvent, TcpEndpoint } from '../../../index.js'

/** A peer with an open connection. */
export interface Visitor {
  address: string
  wire: string
  since: number
}

const MOST_GONE = 1000

const keyOf = ({ instance, address }: PeerEvent): string => instance ?? address

/**
 * Who is connected. A peer that sends messages does so by a connection of its own, which is known as another peer; those are
 * left out as soon as they have sent one.
 */
export class Visitors {
  readonly #here = new Map<string, Visitor>()
  readonly #askers = new Set<string>()
  /** Addresses that have left, the latest of them: a message may be handled after that, and also before its peer is told of. */
  readonly #gone = new Set<string>()
  #count = 0

  constructor(endpoint: TcpEndpoint) {
    endpoint.on('peer', (peer) => this.#come(peer))
    endpoint.on('disconnect', (peer) => this.#leave(peer))
  }

  /** Those who are here, the first one first. */
  get here(): readonly Visitor[] {
    return [...this.#here.values()].filter(({ address }) => !this.#askers.has(address))
  }

  /** Those who were ever here. */
  get count(): number {
    return this.#count
  }

  /** That address has sent a message; one that has left by then was counted as who it was. */
  asked(address: string): void {
    if (this.#askers.has(address) || this.#gone.has(address)) return
    this.#askers.add(address)
    this.#count--
  }

  #come(peer: PeerEvent): void {
    if (peer.direction !== 'inbound') return
    this.#here.set(keyOf(peer), { address: peer.address, wire: peer.wire, since: performance.now() })
    this.#gone.delete(peer.address)
    this.#count++
  }

  #leave(peer: DisconnectEvent): void {
    if (peer.direction !== 'inbound') return
    this.#here.delete(keyOf(peer))
    this.#askers.delete(peer.address)
    this.#gone.add(peer.address)
    const [oldest] = this.#gone
    if (this.#gone.size > MOST_GONE && oldest !== undefined) this.#gone.delete(oldest)
  }
}
