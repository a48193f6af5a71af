/** The bytes, written from docs/protocol.md alone: whoever breaks memlane's own codec finds no accomplice here. */
import { createHash, createHmac, randomBytes } from 'node:crypto'

export const SEND = 0
export const READ = 1
export const WRITE = 2
export const DESCRIBE = 3
export const PING = 4

export const OK = 0
export const NO_SUCH_REGION = 1
export const OUT_OF_RANGE = 2
export const ACCESS_DENIED = 3
export const MESSAGE_SIZE = 4
export const NO_RECEIVE = 5
export const LIMIT = 6
export const CLOSING = 7
export const BAD_REQUEST = 8

/** By status: its name, which `stats().rejected` goes by too. */
export const STATUS_NAMES = [
  'ok', 'no_such_region', 'out_of_range', 'access_denied', 'message_size', 'no_receive', 'limit', 'closing', 'bad_request',
]
export const OPCODE_NAMES = ['SEND', 'READ', 'WRITE', 'DESCRIBE', 'PING']

export const HEADER_BYTES = 17
export const FRAME_BYTES = 8
export const PREFACE_BYTES = 64
export const PROOF_BYTES = 32
export const FLAG_AUTH = 1
export const MAGIC = Buffer.from('memlane\0', 'latin1')

/** Of any numbers: nothing here checks them. */
export function header(op, size, addr) {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeBigUInt64LE(BigInt(size), 0)
  bytes.writeBigUInt64LE(BigInt(addr), 8)
  bytes.writeUInt8(op, 16)
  return bytes
}

export function parseHeader(bytes, at = 0) {
  return { size: Number(bytes.readBigUInt64LE(at)), addr: Number(bytes.readBigUInt64LE(at + 8)), op: bytes.readUInt8(at + 16) }
}

export const read = (addr, size) => header(READ, size, addr)
export const write = (addr, body) => Buffer.concat([header(WRITE, body.length, addr), body])
export const send = (tag, body) => Buffer.concat([header(SEND, body.length, tag), body])
export const ping = () => header(PING, 0, 0)
export const describe = () => header(DESCRIBE, 0, 0)

export function preface({ magic = MAGIC, lowest = 1, highest = 1, flags = 0, hint = 0, instance, nonce } = {}) {
  const bytes = Buffer.alloc(PREFACE_BYTES)
  magic.copy(bytes)
  bytes.writeUInt8(lowest, 8)
  bytes.writeUInt8(highest, 9)
  bytes.writeUInt16LE(flags, 10)
  bytes.writeUInt32LE(hint, 12)
  bytes.set(instance ?? randomBytes(16), 16)
  bytes.set(nonce ?? randomBytes(32), 32)
  return bytes
}

export function statusFrame(sequence, status) {
  const bytes = Buffer.alloc(FRAME_BYTES)
  bytes.writeUInt32LE(sequence, 0)
  bytes.writeUInt32LE(status, 4)
  return bytes
}

/** What a preface says of the token that its sender comes with: the first 4 bytes of SHA-256 of its name, 0 without one. */
export function hintOf(name) {
  return name === '' ? 0 : createHash('sha256').update(name).digest().readUInt32LE(0)
}

/** What proves that its sender knows the secret. `role` is `i` for an initiator, `t` for a target. */
export function proof(role, secret, initiatorPreface, targetPreface) {
  const key = createHash('sha256').update(secret).digest()
  return createHmac('sha256', key).update(`memlane ${role}`, 'latin1').update(initiatorPreface).update(targetPreface).digest()
}

/** `length` bytes that depend on `key` alone. */
export function pattern(key, length) {
  return createHash('shake128', { outputLength: length }).update(key).digest()
}
