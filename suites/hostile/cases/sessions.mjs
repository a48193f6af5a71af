/** B21: a recorded session of three operations, cut at every byte, and with every bit of its headers flipped. */
import { setTimeout as sleep } from 'node:timers/promises'
import { DEADLINE_MS } from '../connection.mjs'
import { outcome } from '../model.mjs'
import { BAD_REQUEST, FRAME_BYTES, HEADER_BYTES, header, NO_RECEIVE, PREFACE_BYTES, preface, read, SEND, STATUS_NAMES, write } from '../wire.mjs'

/** A flipped bit makes messages that nobody waits for. One that is not whole by then is refused in place of ended by the close. */
const UNEXPECTED_MS = 250

export const rows = ['B21']
export const setting = { options: { unexpectedTimeoutMs: UNEXPECTED_MS } }

export function* cases(target) {
  yield* large(target)
  for (const kind of ['page', 'big odd', 'file odd']) {
    const { address } = target.region(kind)
    const body = Buffer.from('written by the session')
    const requests = [read(address, 24), write(address + 40, body), read(address + 30, 33)]
    const session = Buffer.concat(requests)
    const opening = preface({ instance: Buffer.alloc(16), nonce: Buffer.alloc(32, 0x5c) })
    const native = Buffer.concat([opening, session])
    for (const [wire, stream, skip] of [['native', native, PREFACE_BYTES], ['legacy', session, 0]]) {
      const cuts = Array.from({ length: stream.length + 1 }, (_, at) => at)
      for (const how of kind === 'page' ? ['half close', 'reset'] : []) {
        const sub = cuts.map((at) => cut(target, wire, stream.subarray(0, at), how, `at byte ${at}`))
        yield { row: 'B21', name: `${wire}: READ, WRITE, READ of "${kind}", ${how} at every byte`, sent: `${stream.length + 1} sessions`, sub }
      }
      const headers = [0, HEADER_BYTES, 2 * HEADER_BYTES + body.length].map((at) => at + skip)
      const bits = headers.flatMap((from) => Array.from({ length: HEADER_BYTES * 8 }, (_, bit) => from * 8 + bit))
      const sub = bits.map((bit) => cut(target, wire, flipped(stream, bit), 'half close', `bit ${bit}`))
      yield { row: 'B21', name: `${wire}: the same of "${kind}", every header bit flipped`, sent: `${bits.length} sessions`, sub }
    }
    if (kind !== 'page') continue
    const bits = Array.from({ length: PREFACE_BYTES * 8 }, (_, bit) => bit)
    yield { row: 'B21', name: 'native: every bit of the preface flipped', sent: `${bits.length} sessions`, sub: bits.map((bit) => cut(target, 'native', flipped(native, bit), 'half close', `bit ${bit}`)) }
  }
}

/** What a flipped bit makes of some addresses and not of others: a message too large to be kept, of which next to nothing comes. */
function* large(target) {
  const { maxUnexpectedBytes, drainBytes } = target.limits
  const { address } = target.region('page')
  for (const [what, size] of [['too large to keep', maxUnexpectedBytes + 1], ['too large to drain', drainBytes + 1]]) {
    const stream = Buffer.concat([read(address, 24), header(SEND, size, 7), Buffer.from('on')])
    for (const wire of ['native', 'legacy']) {
      const opening = wire === 'native' ? preface({ instance: Buffer.alloc(16), nonce: Buffer.alloc(32, 0x5c) }) : Buffer.alloc(0)
      const attack = cut(target, wire, Buffer.concat([opening, stream]), 'half close')
      yield { ...attack, row: 'B21', name: `${wire}: READ, SEND ${what}, cut off`, sent: 'header, 2 bytes, half close' }
    }
  }
}

function flipped(stream, bit) {
  const bytes = Buffer.from(stream)
  bytes[bit >> 3] ^= 1 << (bit & 7)
  return bytes
}

/** What has to come of a stream on a fresh connection that is then half closed. */
function expectation(target, wire, stream) {
  const regions = target.regions.map((region) => ({ ...region }))
  const nothing = { answers: [], sends: [], applied: [], undefinedRanges: [], refused: [] }
  if (wire === 'legacy') return { greeting: 0, legacy: true, ...outcome(stream, regions, target.limits, { legacy: true }) }
  // The first byte that differs decides which wire it is.
  const magic = Buffer.from('memlane\0', 'latin1')
  if (!stream.subarray(0, 8).equals(magic.subarray(0, Math.min(8, stream.length)))) {
    return { greeting: 0, legacy: true, ...outcome(stream, regions, target.limits, { legacy: true }) }
  }
  if (stream.length < PREFACE_BYTES) return { greeting: 0, ...nothing }
  const [lowest, highest, flags] = [stream[8], stream[9], stream[10]]
  if (lowest !== 1 || highest < 1) return { greeting: 0, ...nothing, protocolErrors: 1 }
  if ((flags & 1) === 1) return { greeting: PREFACE_BYTES, ...nothing, authFailures: 1 }
  return { greeting: PREFACE_BYTES, ...outcome(stream.subarray(PREFACE_BYTES), regions, target.limits) }
}

function cut(target, wire, stream, how, name) {
  const expected = expectation(target, wire, stream)
  const counters = {}
  const count = (counter) => {
    counters[counter] = (counters[counter] ?? 0) + 1
  }
  for (const status of expected.refused) count(`rejected.${STATUS_NAMES[status]}`)
  if (expected.refused.includes(BAD_REQUEST) || expected.protocolErrors) count('protocolErrors')
  if (expected.authFailures) count('authFailures')
  for (const _ of expected.sends) count('rejected.no_receive')
  const attack = async ({ open, applied, undefinedRanges }) => {
    const connection = await open()
    if (how === 'reset') {
      await connection.writeAll(stream)
      // What is applied by now may be applied; what is not is lost with the connection.
      undefinedRanges.push(...expected.undefinedRanges, ...expected.applied.map(({ region, offset, bytes }) => ({ region, offset, length: bytes.length })))
      connection.reset()
      return 'reset by us'
    }
    connection.write(stream)
    connection.end()
    const heard = await connection.rest(DEADLINE_MS + (expected.sends.length > 0 ? UNEXPECTED_MS : 0))
    applied.push(...expected.applied)
    undefinedRanges.push(...expected.undefinedRanges)
    if (expected.sends.length > 0) await expire(target)
    const mistake = mistakeIn(heard, expected)
    if (mistake !== undefined) throw new Error(mistake)
    return 'as the protocol says'
  }
  return { name, counters, attack, before: () => target.call('refill') }
}

/** A kept message is looked at when the next receive is posted, at the latest. */
async function expire(target) {
  await sleep(UNEXPECTED_MS + 20)
  await target.call('recv', { id: 'late', length: 64 })
  await target.call('cancel', 'late')
}

/** Where what came back is not what the model says: answers in order, and statuses of messages anywhere between them. */
function mistakeIn(heard, expected) {
  const { greeting, answers, sends, legacy, closes } = expected
  if (legacy) {
    let from = 0
    for (const answer of answers) {
      const to = from + answer.body.length
      if (!isBody(heard.subarray(from, to), answer, expected)) return `${heard.length} bytes came back that are not those asked for`
      from = to
    }
    return heard.length === from ? undefined : `${heard.length} bytes came back, ${from} were asked for`
  }
  const open = new Set(sends)
  const left = [...answers]
  let at = greeting
  if (heard.length < greeting) return `${heard.length} bytes of a preface`
  while (at < heard.length) {
    if (heard.length - at < FRAME_BYTES) return `${heard.length - at} bytes that are no frame`
    const [sequence, status] = [heard.readUInt32LE(at), heard.readUInt32LE(at + 4)]
    at += FRAME_BYTES
    if (open.delete(sequence)) {
      if (status !== NO_RECEIVE) return `status ${status} for a message that nobody waits for`
      continue
    }
    const answer = left.shift()
    if (answer === undefined) return `a status ${status} of request ${sequence} behind the last one`
    if (answer.sequence !== sequence || answer.status !== status) return `status ${status} of request ${sequence}, not ${answer.status} of ${answer.sequence}`
    const length = answer.body === undefined ? 4 + heard.readUInt32LE(at) : answer.body.length
    if (answer.body !== undefined && !isBody(heard.subarray(at, at + length), answer, expected)) return `other bytes for request ${sequence}`
    at += length
  }
  if (left.length > 0) return `no answer to request ${left[0].sequence}`
  // A lane that is ended by what came behind a message says nothing of it any more.
  return open.size > 0 && !closes ? 'no status for a message' : undefined
}

/** What is longer is sent from where it lies: a WRITE behind the READ may be in it by then. */
const COPIED_BYTES = 8 << 10

/** Whether the bytes are those of the answer; where a long one met a WRITE, but for that. */
function isBody(heard, { body, region, offset }, { applied, undefinedRanges }) {
  if (heard.equals(body)) return true
  if (body.length <= COPIED_BYTES || heard.length !== body.length) return false
  const masked = Buffer.from(heard)
  for (const stored of [...applied, ...undefinedRanges]) {
    if (stored.region !== region) continue
    const from = Math.max(0, stored.offset - offset)
    const to = Math.min(body.length, stored.offset - offset + (stored.length ?? stored.bytes.length))
    if (from < to) body.copy(masked, from, from, to)
  }
  return masked.equals(body)
}
