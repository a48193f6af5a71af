import type { DisconnectEvent, PeerEvent, TcpEndpoint } from '../../../index.js'

/** A peer with an open connection. */
export interface Visitor {
  address: string
  wire: string
  since: number
}

const keyOf = ({ instance, address }: PeerEvent): string => instance ?? address

/**
 * Who is connected. A peer that sends messages does so by a connection of its own, which is known as another peer; those are
 * left out as soon as they have sent one.
 */
export class Visitors {
  readonly #here = new Map<string, Visitor>()
  readonly #askers = new Set<string>()
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

  /** That address has sent a message. */
  asked(address: string): void {
    if (this.#askers.has(address)) return
    this.#askers.add(address)
    this.#count--
  }

  #come(peer: PeerEvent): void {
    if (peer.direction !== 'inbound') return
    this.#here.set(keyOf(peer), { address: peer.address, wire: peer.wire, since: performance.now() })
    this.#count++
  }

  #leave(peer: DisconnectEvent): void {
    if (peer.direction !== 'inbound') return
    this.#here.delete(keyOf(peer))
    this.#askers.delete(peer.address)
  }
}
