import { typeError, valueError } from './arguments.js'
import { Peer, remoteOf } from './peer.js'
import type { Remote } from './remote.js'

/** Anybody, where the engine takes the handle of a peer to receive from. */
export const ANYONE = -1

/** The open peers of one endpoint, by the instance that each last described itself as. */
export class Peers {
  readonly #byInstance = new Map<string, Set<Remote>>()

  /** `remote` is this instance from now on; none where it is closed. */
  move(remote: Remote, from: string | undefined, to: string | undefined): void {
    if (from !== undefined) {
      const known = this.#byInstance.get(from)
      if (known?.delete(remote) === true && known.size === 0) this.#byInstance.delete(from)
    }
    if (to === undefined) return
    const known = this.#byInstance.get(to)
    if (known === undefined) this.#byInstance.set(to, new Set([remote]))
    else known.add(remote)
  }

  /** The peer of this instance that was connected first. */
  find(instance: string): Peer | undefined {
    for (const remote of this.#byInstance.get(instance) ?? []) if (!remote.lifetime.closed) return remote.peer
    return undefined
  }

  /** The handle of the peer that somebody wants to receive from, or the reason why that cannot be. */
  sender(from: unknown): number {
    if (from === undefined) return ANYONE
    if (!(from instanceof Peer)) throw typeError('from', 'a Peer', from)
    const remote = remoteOf(from)
    if (remote.peers !== this) throw valueError('from is a peer of another endpoint: connect to it with the one that receives')
    const handle = remote.lifetime.use()
    if (!remote.describes) {
      throw valueError('from is a peer on the legacy wire, which does not say who sends a message: tell messages apart by tag')
    }
    if (remote.instance === undefined) {
      throw valueError('from is a peer that does not say which instance it is: tell messages apart by tag')
    }
    return handle
  }
}
