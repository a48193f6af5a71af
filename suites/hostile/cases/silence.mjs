/** B1, B2, B13: who says too little, too slowly, or leaves in the middle. */
import { setTimeout as sleep } from 'node:timers/promises'
import { DEADLINE_MS } from '../connection.mjs'
import { header, MAGIC, OK, ping, preface, PREFACE_BYTES, READ, read, send, SEND, WRITE, write } from '../wire.mjs'
import { EVIL } from './parts.mjs'

/** Who is still said to be open is open; who is told the end has 1 s for it behind the deadline that applies. */
const late = (ms) => ms + DEADLINE_MS

export function* cases(target) {
  yield* silent(target)
  yield* slowly(target)
  yield* leaving(target)
}

function* silent(target) {
  const { limits } = target
  const half = read(0, 16).subarray(0, 16)
  const { address } = target.region('page')
  const openings = [
    ['nothing', [], limits.handshakeTimeoutMs],
    ['1 byte', [Buffer.alloc(1)], limits.headerTimeoutMs],
    ['1 byte of the magic', [MAGIC.subarray(0, 1)], limits.handshakeTimeoutMs],
    ['7 bytes of the magic', [MAGIC.subarray(0, 7)], limits.handshakeTimeoutMs],
    ['the magic', [MAGIC], limits.handshakeTimeoutMs],
    ['63 bytes of a preface', [preface().subarray(0, 63)], limits.handshakeTimeoutMs],
    ['16 bytes of a legacy header', [half], limits.headerTimeoutMs],
    ['a preface and 16 bytes', [preface(), half], limits.headerTimeoutMs],
    ['a preface and 1 byte', [preface(), half.subarray(0, 1)], limits.headerTimeoutMs],
    ['a WRITE without its body', [preface(), header(WRITE, 64, address)], limits.progressTimeoutMs],
    ['a legacy WRITE without its body', [header(WRITE, 64, address)], limits.progressTimeoutMs],
  ]
  const undefinedRanges = [{ region: 'page', offset: 0, length: 64 }]
  const attack = async ({ open, undefinedRanges: ranges }) => {
    ranges.push(...undefinedRanges)
    const connections = await Promise.all(openings.map(() => open()))
    const started = performance.now()
    const ends = connections.map(async (connection, at) => {
      const [what, bytes, deadlineMs] = openings[at]
      connection.write(Buffer.concat(bytes))
      const rest = await connection.rest(late(deadlineMs)).catch((error) => Promise.reject(new Error(`${what}: ${error.message}`)))
      const ms = performance.now() - started
      if (ms < deadlineMs - 50) throw new Error(`${what}: closed after ${ms} ms, before its deadline`)
      if (rest.length > 0 && rest.length !== PREFACE_BYTES) throw new Error(`${what}: ${rest.length} bytes came back`)
    })
    await Promise.all(ends)
    return 'close'
  }
  const counters = { timedOut: openings.length }
  yield { row: 'B1', name: 'nothing, 1, 16, 63 bytes, half a request; then silence', sent: openings.map(([what]) => what).join(', '), counters, attack }
}

function* slowly(target) {
  const { address, bytes } = target.region('page')
  const body = bytes.subarray(100, 132)
  const session = Buffer.concat([read(address, 24), write(address + 100, body), read(address + 90, 16)])
  const answer = Buffer.concat([bytes.subarray(0, 24), bytes.subarray(90, 106)])
  const each = (length) => Array.from({ length: length - 1 }, (_, index) => index + 1)
  const native = async ({ open }) => {
    const lane = await open()
    const stream = Buffer.concat([preface(), session])
    await lane.writeCut(stream, each(stream.length))
    await lane.take(PREFACE_BYTES)
    await lane.status(0, OK)
    const first = await lane.take(24)
    await lane.status(1, OK)
    await lane.status(2, OK)
    if (!Buffer.concat([first, await lane.take(16)]).equals(answer)) throw new Error('other bytes than the region holds')
    return 'ok'
  }
  yield { row: 'B2', name: 'native: preface, READ, WRITE, READ byte by byte', sent: `${PREFACE_BYTES + session.length} packets`, attack: native }
  const legacy = async ({ open }) => {
    const connection = await open()
    await connection.writeCut(session, each(session.length))
    if (!(await connection.take(answer.length)).equals(answer)) throw new Error('other bytes than the region holds')
    return `${answer.length} bytes`
  }
  yield { row: 'B2', name: 'legacy: READ, WRITE, READ byte by byte', sent: `${session.length} packets`, attack: legacy }
  const { headerTimeoutMs, handshakeTimeoutMs } = target.limits
  const trickle = (opening, deadlineMs) => async ({ open }) => {
    const lane = await open()
    lane.write(opening)
    const started = performance.now()
    // All but the last byte, each in an eighth of the time that there is for all of them.
    for (const byte of read(address, 16).subarray(0, 16)) {
      if (lane.closed !== undefined) break
      lane.write(Buffer.of(byte))
      await sleep(deadlineMs / 8)
    }
    await lane.rest(late(deadlineMs) - (performance.now() - started))
    return 'close'
  }
  yield { row: 'B2', name: 'native: a header too slowly', sent: 'a byte each 90 ms', counters: { timedOut: 1 }, attack: trickle(preface(), headerTimeoutMs) }
  yield { row: 'B2', name: 'a preface too slowly', sent: 'a byte each 90 ms', counters: { timedOut: 1 }, attack: trickle(MAGIC, handshakeTimeoutMs) }
}

/** A message whose sender is gone is nobody's when its time is over: a receive that is posted then does not get it. */
async function hasDropped(target) {
  await sleep(target.limits.unexpectedTimeoutMs + 50)
  await target.call('recv', { id: 'late', length: 64 })
  if ((await target.call('received', { id: 'late', seconds: 0.02 })) !== null) throw new Error('it was received')
  await target.call('cancel', 'late')
}

function* leaving(target) {
  const { address, bytes, length } = target.region('page')
  const inbox = target.region('inbox').address
  const answered = [1, length].flatMap((size) => [
    {
      name: `native, ${size} bytes`,
      attack: async ({ native }) => {
        const lane = await native()
        lane.write(Buffer.concat([read(address, size), ping()]))
        lane.end()
        await lane.status(0, OK)
        if (!(await lane.take(size)).equals(bytes.subarray(0, size))) throw new Error('other bytes than the region holds')
        await lane.status(1, OK)
        return `ok, ${await lane.ends()}`
      },
    },
    {
      name: `legacy, ${size} bytes`,
      attack: async ({ open }) => {
        const connection = await open()
        connection.write(read(address, size))
        connection.end()
        if (!(await connection.rest()).equals(bytes.subarray(0, size))) throw new Error('other bytes than the region holds')
        return 'the bytes, close'
      },
    },
  ])
  yield { row: 'B13', name: 'half close behind a header', sent: 'READ, end', sub: answered }
  const many = Array.from({ length: 500 }, () => read(address, length))
  const openings = [
    ['in a preface', [preface().subarray(0, 30)]],
    ['in a header', [preface(), read(address, 16).subarray(0, 9)]],
    ['in a legacy header', [read(address, 16).subarray(0, 9)]],
    ['in a body', [preface(), header(WRITE, 64, inbox), EVIL]],
    ['in a legacy body', [header(WRITE, 64, inbox), EVIL]],
    ['in a message', [preface(), header(SEND, 64, 1), EVIL]],
    ['in a legacy message', [header(SEND, 64, 0), EVIL]],
    ['behind a message', [preface(), send(1, EVIL)]],
    ['in a refused body', [preface(), header(WRITE, 64, address - 64), EVIL], { 'rejected.no_such_region': 1 }],
    ['in a status', [preface(), ...Array.from({ length: 5000 }, () => header(READ, 0, address))]],
    ['in an answer', [preface(), ...many]],
    ['in a legacy answer', many],
  ]
  for (const how of ['reset', 'half close']) {
    const sub = openings.map(([name, parts, counters]) => ({
      name,
      counters,
      attack: async ({ open, undefinedRanges }) => {
        if (name.endsWith('body')) undefinedRanges.push({ region: 'inbox', offset: 0, length: 64 })
        const connection = await open()
        connection.pause()
        await connection.writeAll(Buffer.concat(parts))
        if (how === 'reset') {
          // Until the target has seen what came: it may be on its way with the answers.
          await sleep(5)
          connection.reset()
          if (name === 'behind a message') await hasDropped(target)
          return 'reset by us'
        }
        connection.end()
        connection.sink = true
        connection.resume()
        const waits = name === 'behind a message' ? target.limits.unexpectedTimeoutMs : 0
        await connection.rest(late(waits))
        return 'close'
      },
    }))
    // A message that is whole is kept until its time is over, whatever becomes of its connection.
    Object.assign(sub.find(({ name }) => name === 'behind a message'), { counters: { 'rejected.no_receive': 1 }, afterMs: target.limits.unexpectedTimeoutMs })
    yield { row: 'B13', name: `${how} in a header, body, status, answer`, sent: openings.map(([name]) => name).join(', '), sub }
  }
}
