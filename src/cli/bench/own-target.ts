import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { MemoryRegion, Peer, PeerInfo } from '../../../index.js'
import { Caller, letGo } from '../calls.js'
import { CliError, EXIT } from '../failure.js'
import { firstDifference } from './pattern.js'

/** The region of a target that the bench starts. */
export const OWN_REGION = 'bench'

/** A target in a process of its own, on loopback. */
export class OwnTarget {
  readonly #child: ChildProcess
  readonly #caller: Caller

  constructor() {
    this.#child = fork(join(__dirname, 'target.js'), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#caller = new Caller(this.#child)
  }

  serve(bytes: number): Promise<PeerInfo> {
    return this.#caller.call('serve', { name: OWN_REGION, bytes })
  }

  /** Blocks its event loop in bursts from now on. */
  busy(): Promise<void> {
    return this.#caller.call('busy')
  }

  /** Moves all of the region both ways and compares each byte: what is fast because it moves the wrong ones is not measured. */
  async check(peer: Peer, local: MemoryRegion): Promise<void> {
    await peer.read(OWN_REGION, { into: local })
    refuse(firstDifference(new Uint8Array(local.buffer)), 'read')
    await this.#caller.call('wipe')
    await peer.write(OWN_REGION, local)
    refuse(await this.#caller.call<number>('firstDifference'), 'write')
  }

  stop(): Promise<void> {
    return letGo(this.#child)
  }
}

function refuse(offset: number, op: string): void {
  if (offset >= 0) throw new CliError(`a ${op} moved a wrong byte at offset ${offset}`, { code: 'ERR_MISMATCH', status: EXIT.mismatch })
}
