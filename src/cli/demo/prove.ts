/** The initiator's half of the proof: every byte that moved is hashed on both sides. */
import { createHash } from 'node:crypto'
import type { MemoryRegion, Peer, TcpEndpoint } from '../../../index.js'
import { CliError, EXIT } from '../failure.js'
import type { Link } from './link.js'
import { REPLY, REQUEST } from './offer.js'

export const PIECE_BYTES = 1 << 20

/** Asks the target by message which hash its model has. The reply comes from a connection that the target opens. */
export async function askForHash(endpoint: TcpEndpoint, peer: Peer): Promise<string> {
  const reply = endpoint.recv(new Uint8Array(1024), { tag: REPLY })
  await peer.send(Buffer.from(JSON.stringify({ replyTo: endpoint.endpointInfo() })), { tag: REQUEST })
  const { data } = await reply
  return (JSON.parse(Buffer.from(data).toString()) as { sha256: string }).sha256
}

export async function readWhole(peer: Peer, scratch: MemoryRegion, expected: string): Promise<void> {
  await peer.read('model', { into: scratch })
  demand(sha256(new Uint8Array(scratch.buffer)), expected, 'the region read whole')
}

/** Through any transport, because a faster one that moves other bytes would be no comparison. */
export async function readInPieces(link: Link, length: number, expected: string, transport: string): Promise<number> {
  link.memory.fill(0)
  const pieces = Math.ceil(length / PIECE_BYTES)
  for (let piece = 0; piece < pieces; piece++) {
    const offset = piece * PIECE_BYTES
    await link.read(offset, Math.min(PIECE_BYTES, length - offset))
  }
  demand(sha256(link.memory.subarray(0, length)), expected, `the region read in pieces by ${transport}`)
  return pieces
}

/** Writes what was read, every bit turned over, so that bytes which merely stayed where they were cannot pass. */
export async function writeBack(peer: Peer, scratch: MemoryRegion, inboxHash: () => Promise<string>): Promise<void> {
  const memory = new Uint8Array(scratch.buffer)
  for (const [offset, byte] of memory.entries()) memory[offset] = byte ^ 0xff
  const written = await peer.write('inbox', scratch)
  if (written !== memory.length) throw mismatch(`${written} of ${memory.length} bytes were written`)
  demand(await inboxHash(), sha256(memory), 'the region written')
}

function demand(found: string, expected: string, what: string): void {
  if (found !== expected) throw mismatch(`${what} has SHA-256 ${found}, not ${expected}`)
}

const mismatch = (what: string): CliError => new CliError(`mismatch: ${what}`, { code: 'ERR_MISMATCH', status: EXIT.mismatch })

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
