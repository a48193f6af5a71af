/** The initiator's half of the proof: every byte that moved is hashed on both sides. */
import { createHash } from 'node:crypto'

export const PIECE_BYTES = 1 << 20

const REQUEST = 1
const REPLY = 2

/** Asks the target by message which hash its model has. The reply comes from a connection that the target opens. */
export async function askForHash(endpoint, peer) {
  const reply = endpoint.recv(new Uint8Array(1024), { tag: REPLY })
  await peer.send(Buffer.from(JSON.stringify({ replyTo: endpoint.endpointInfo() })), { tag: REQUEST })
  const { data } = await reply
  return JSON.parse(Buffer.from(data).toString()).sha256
}

export async function readWhole(peer, scratch, expected) {
  await peer.read('model', { into: scratch })
  demand(sha256(new Uint8Array(scratch.buffer)), expected, 'the region read whole')
}

/** Through any transport, because a faster one that moves other bytes would be no comparison. */
export async function readInPieces(link, length, expected, transport) {
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
export async function writeBack(peer, scratch, inboxHash) {
  const memory = new Uint8Array(scratch.buffer)
  for (let offset = 0; offset < memory.length; offset++) memory[offset] ^= 0xff
  const written = await peer.write('inbox', scratch)
  if (written !== memory.length) throw new Mismatch(`${written} of ${memory.length} bytes were written`)
  demand(await inboxHash(), sha256(memory), 'the region written')
}

export class Mismatch extends Error {}

function demand(found, expected, what) {
  if (found !== expected) throw new Mismatch(`${what} has SHA-256 ${found}, not ${expected}`)
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}
