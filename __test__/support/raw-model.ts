import { DESCRIBE, HEADER_BYTES, PING, READ, SEND, WRITE } from './raw'

// What the protocol says about a stream of request bytes, worked out without any networking, for comparison with the real target.

export interface ModelRegion {
  address: number
  access: 'none' | 'read' | 'write' | 'readwrite'
  bytes: Buffer
}

export interface ModelLimits {
  maxOperationBytes: number
  drainBytes: number
}

/** What must come back for one native request, in request order. */
export interface Answer {
  sequence: number
  /** More than one where the protocol lets two rules apply. */
  statuses: number[]
  /** Bytes after the status frame; `describe` is a length and as many bytes. */
  body: Buffer | 'describe'
}

export interface Outcome {
  answers: Answer[]
  /** Messages nobody waits for: their statuses come at any later point. */
  sends: { sequence: number; tag: bigint; body: Buffer }[]
  /** The target ends the connection by itself. */
  closes: boolean
  /** Ranges that a write cut off in its body has left undefined. */
  undefinedRanges: { region: ModelRegion; offset: number; length: number }[]
}

interface Parsed {
  size: bigint
  addr: bigint
  op: number
}

const NOTHING = Buffer.alloc(0)

/** The requests of a native lane, from the first byte behind the preface to a half close. Applies writes to `regions`. */
export function nativeOutcome(stream: Buffer, regions: ModelRegion[], limits: ModelLimits): Outcome {
  const outcome: Outcome = { answers: [], sends: [], closes: false, undefinedRanges: [] }
  const answer = (sequence: number, statuses: number[], body: Answer['body'] = NOTHING) =>
    outcome.answers.push({ sequence, statuses, body })
  let at = 0
  for (let sequence = 0; stream.byteLength - at >= HEADER_BYTES; sequence++) {
    const { size, addr, op } = parse(stream, at)
    at += HEADER_BYTES
    const body = stream.subarray(at, at + Number(size))
    const whole = BigInt(body.byteLength) === size
    const overLimit = size > BigInt(limits.maxOperationBytes)
    const malformed = op > PING || ((op === DESCRIBE || op === PING) && (size !== 0n || addr !== 0n))
    if (overLimit || malformed) {
      answer(sequence, overLimit && malformed ? [6, 8] : overLimit ? [6] : [8])
      outcome.closes = true
      return outcome
    }
    if (op === PING || op === DESCRIBE) {
      answer(sequence, [0], op === PING ? NOTHING : 'describe')
    } else if (op === SEND) {
      if (!whole) return outcome
      outcome.sends.push({ sequence, tag: addr, body })
      at += body.byteLength
    } else {
      const { status, region, offset } = check(regions, { size, addr, op })
      if (op === READ) {
        answer(sequence, [status], status === 0 ? Buffer.from(region!.bytes.subarray(offset, offset + Number(size))) : NOTHING)
        continue
      }
      if (status !== 0) {
        answer(sequence, [status])
        outcome.closes = size > BigInt(limits.drainBytes)
        if (outcome.closes || !whole) return outcome
      } else if (!whole) {
        outcome.undefinedRanges.push({ region: region!, offset, length: Number(size) })
        return outcome
      } else {
        body.copy(region!.bytes, offset)
        answer(sequence, [0])
      }
      at += body.byteLength
    }
  }
  return outcome
}

export interface LegacyOutcome extends Pick<Outcome, 'closes' | 'undefinedRanges'> {
  /** Every byte that comes back. */
  bytes: Buffer
  sends: Buffer[]
}

/** The same for the legacy wire, which has no statuses: what is refused ends the connection. */
export function legacyOutcome(stream: Buffer, regions: ModelRegion[], limits: ModelLimits): LegacyOutcome {
  const outcome: LegacyOutcome = { bytes: NOTHING, sends: [], closes: false, undefinedRanges: [] }
  let at = 0
  while (stream.byteLength - at >= HEADER_BYTES) {
    const { size, addr, op } = parse(stream, at)
    at += HEADER_BYTES
    const body = stream.subarray(at, at + Number(size))
    const whole = BigInt(body.byteLength) === size
    if (op > WRITE || size > BigInt(limits.maxOperationBytes)) return { ...outcome, closes: true }
    if (size === 0n) continue
    if (op === SEND) {
      if (!whole) return outcome
      outcome.sends.push(body)
      at += body.byteLength
      continue
    }
    const { status, region, offset } = check(regions, { size, addr, op })
    if (status !== 0) return { ...outcome, closes: true }
    if (op === READ) {
      outcome.bytes = Buffer.concat([outcome.bytes, region!.bytes.subarray(offset, offset + Number(size))])
    } else if (whole) {
      body.copy(region!.bytes, offset)
      at += body.byteLength
    } else {
      outcome.undefinedRanges.push({ region: region!, offset, length: Number(size) })
      return outcome
    }
  }
  return outcome
}

function parse(stream: Buffer, at: number): Parsed {
  return { size: stream.readBigUInt64LE(at), addr: stream.readBigUInt64LE(at + 8), op: stream.readUInt8(at + 16) }
}

/** No such region, then out of range, then access: a region owns its addresses and the one behind its last byte. */
function check(regions: ModelRegion[], { size, addr, op }: Parsed): { status: number; region?: ModelRegion; offset: number } {
  const region = regions.find(({ address, bytes }) => addr >= BigInt(address) && addr <= BigInt(address + bytes.byteLength))
  if (!region) return { status: 1, offset: 0 }
  const offset = Number(addr) - region.address
  if (size > BigInt(region.bytes.byteLength - offset)) return { status: 2, offset }
  const right = op === READ ? 'read' : 'write'
  return { status: region.access.includes(right) ? 0 : 3, region, offset }
}
