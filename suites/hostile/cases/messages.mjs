/** B9, B10, B11: messages that nobody waits for, or that do not fit. */
import { DEADLINE_MS } from '../connection.mjs'
import { header, MESSAGE_SIZE, NO_RECEIVE, OK, ping, read, SEND, send, write } from '../wire.mjs'
import { EVIL, GIB } from './parts.mjs'

const SLOT = 1024
/** Where in "mail", which is canary all over, receives are posted. */
const AT = 1000

let receives = 0

export function* cases(target) {
  yield* unmatched(target)
  yield* sizes(target)
  yield* flood(target)
}

function* unmatched(target) {
  const { address, bytes } = target.region('page')
  const { limits } = target
  const patience = limits.unexpectedTimeoutMs + DEADLINE_MS
  const one = write(address, Buffer.alloc(64, 0xee))
  const loaded = (least) => Buffer.concat(Array.from({ length: Math.ceil(least / one.length) }, () => one))
  const counters = { 'rejected.no_receive': 1 }
  const afterMs = limits.unexpectedTimeoutMs
  for (const [what, least] of [['1', 1], ['more than is kept', limits.maxUnexpectedBytes + 1]]) {
    const payload = loaded(least)
    yield {
      row: 'B9', name: `native: SEND of ${what} WRITE request${least === 1 ? '' : 's'}`, sent: `${payload.length} bytes of valid WRITEs as a message`, counters, afterMs,
      attack: async ({ native }) => {
        const lane = await native()
        lane.write(Buffer.concat([send(9, payload), ping()]))
        if (least === 1) await lane.status(1, OK)
        const said = await lane.status(0, NO_RECEIVE, patience)
        if (least > 1) await lane.status(1, OK)
        lane.write(ping())
        return `${said}, then ${await lane.status(2, OK)}`
      },
    }
    yield {
      row: 'B9', name: `legacy: SEND of ${what} WRITE request${least === 1 ? '' : 's'}`, sent: `${payload.length} bytes of valid WRITEs as a message`, counters, afterMs,
      attack: async ({ open }) => {
        const connection = await open()
        connection.write(Buffer.concat([send(0, payload), read(address, 8)]))
        const rest = await connection.rest(patience)
        if (!rest.equals(bytes.subarray(0, least === 1 ? 8 : 0))) throw new Error(`${rest.length} bytes came back`)
        return 'close'
      },
    }
  }
  const big = loaded(2 * limits.drainBytes)
  yield {
    row: 'B9', name: 'native: SEND of 2 MiB of WRITE requests', sent: 'more than is drained', counters, afterMs,
    attack: async ({ native }) => {
      const lane = await native()
      lane.write(Buffer.concat([send(9, big), ping()]))
      return `${await lane.status(0, NO_RECEIVE, patience)}, ${await lane.ends(limits.drainMs + DEADLINE_MS)}`
    },
  }
}

/** Posts a receive in the middle of "mail": what it takes may land there and nowhere else. */
async function post(target, options = {}) {
  const id = receives++
  await target.call('recv', { id, region: 'mail', offset: AT, length: SLOT, ...options })
  return id
}

function* sizes(target) {
  const { limits } = target
  for (const wire of ['native', 'legacy']) {
    for (const [what, size] of [['slot-1', SLOT - 1], ['slot', SLOT], ['slot+1', SLOT + 1], ['0', 0]]) {
      if (wire === 'legacy' && size === 0) continue
      const fits = size <= SLOT
      yield {
        row: 'B10', name: `${wire}: SEND of ${what} bytes`, sent: `${size} bytes for a receive of ${SLOT}`, counters: fits ? {} : { 'rejected.message_size': 1 },
        attack: async ({ native, open, applied }) => {
          const payload = Buffer.alloc(size, 0x5a)
          applied.push({ region: 'mail', offset: AT, bytes: payload.subarray(0, SLOT) })
          const id = await post(target)
          const connection = await (wire === 'native' ? native() : open())
          connection.write(send(7, payload))
          const message = await target.call('received', { id })
          if (message?.messageBytes !== size || message.truncated === fits) throw new Error(`received ${JSON.stringify(message)}`)
          return wire === 'native' ? connection.status(0, fits ? OK : MESSAGE_SIZE) : `received, truncated: ${message.truncated}`
        },
      }
    }
  }
  yield {
    row: 'B10', name: 'native: SEND of slot+1 bytes, exactSize', sent: `${SLOT + 1} bytes for a receive of exactly ${SLOT}`, counters: { 'rejected.message_size': 1 },
    attack: async ({ native }) => {
      const id = await post(target, { exactSize: true })
      const lane = await native()
      lane.write(send(7, Buffer.alloc(SLOT + 1, 0xee)))
      const said = await lane.status(0, MESSAGE_SIZE)
      const { code } = await target.call('received', { id })
      if (code !== 'ERR_MESSAGE_SIZE') throw new Error(`the receive ended with ${code}`)
      return `${said}, ${code}`
    },
  }
  yield {
    row: 'B10', name: 'native: SEND of 1 GiB into 1 KiB', sent: 'header, 64 MiB', counters: { 'rejected.message_size': 1 },
    attack: async ({ native, applied }) => {
      applied.push({ region: 'mail', offset: AT, bytes: Buffer.alloc(SLOT, 0xee) })
      const id = await post(target)
      const lane = await native()
      lane.write(header(SEND, GIB, 7))
      lane.write(Buffer.alloc(64 << 20, 0xee))
      const said = await lane.status(0, MESSAGE_SIZE)
      const { truncated } = await target.call('received', { id })
      if (truncated !== true) throw new Error('nobody told the receiver')
      return `${said}, ${await lane.ends(limits.drainMs + DEADLINE_MS)}`
    },
  }
  for (const wire of ['native', 'legacy']) {
    yield {
      row: 'B10', name: `${wire}: a SEND cut off in its body`, sent: 'header, all but a byte, end; then a whole message', counters: {},
      attack: async ({ native, open, applied }) => {
        applied.push({ region: 'mail', offset: AT, bytes: Buffer.alloc(SLOT - 1, 0xee) }, { region: 'mail', offset: AT, bytes: EVIL })
        const id = await post(target)
        const cut = await (wire === 'native' ? native() : open())
        cut.write(Buffer.concat([header(SEND, SLOT, 7), Buffer.alloc(SLOT - 1, 0xee)]))
        cut.end()
        await cut.ends()
        const whole = await native()
        whole.write(send(7, EVIL))
        const message = await target.call('received', { id })
        if (message?.bytes !== EVIL.length) throw new Error('its receive was lost')
        return `close; the next message ${await whole.status(0, OK)}`
      },
    }
  }
}

function* flood(target) {
  const { limits } = target
  const COUNT = 10_000
  const MOST = 64
  const flooding = Buffer.concat(Array.from({ length: COUNT }, () => send(5, EVIL)))
  const afterMs = limits.unexpectedTimeoutMs
  let answered = 0
  let before = 0
  yield {
    row: 'B11', name: 'native: 10,000 SENDs and no receive', sent: `10,000 messages of ${EVIL.length} bytes`, afterMs,
    counters: () => ({ 'rejected.no_receive': answered }),
    attack: async ({ native }) => {
      const lane = await native()
      lane.write(flooding)
      for (let sequence = 0; sequence < MOST; sequence++) await lane.status(sequence, NO_RECEIVE, afterMs + DEADLINE_MS)
      // Behind what is kept nothing was read: a second round has come in since then, and the rest is in the socket.
      await lane.status(MOST, NO_RECEIVE, afterMs + DEADLINE_MS)
      lane.reset()
      await new Promise((resolve) => setTimeout(resolve, afterMs + DEADLINE_MS / 2))
      const { rejected } = await target.call('stats')
      answered = rejected.no_receive - before
      if (answered > 4 * MOST) throw new Error(`${answered} messages were taken in, at most ${MOST} may be kept at a time`)
      return `no_receive, ${MOST} at a time`
    },
    before: async () => {
      before = (await target.call('stats')).rejected.no_receive
    },
  }
  yield {
    row: 'B11', name: 'legacy: 10,000 SENDs and no receive', sent: `10,000 messages of ${EVIL.length} bytes`, afterMs,
    counters: () => ({ 'rejected.no_receive': answered }),
    attack: async ({ open }) => {
      const connection = await open()
      connection.write(flooding)
      const said = await connection.ends(afterMs + DEADLINE_MS)
      await new Promise((resolve) => setTimeout(resolve, afterMs + DEADLINE_MS / 2))
      const { rejected } = await target.call('stats')
      answered = rejected.no_receive - before
      if (answered > 2 * MOST) throw new Error(`${answered} messages were taken in`)
      return said
    },
    before: async () => {
      before = (await target.call('stats')).rejected.no_receive
    },
  }
  yield {
    row: 'B11', name: 'native: 10,000 SENDs of 64 KiB on 32 lanes', sent: '640 MB that nobody receives', afterMs, counters: () => ({ 'rejected.no_receive': answered }),
    attack: async ({ native }) => {
      const lanes = await Promise.all(Array.from({ length: 32 }, () => native()))
      const message = send(5, Buffer.alloc(64 << 10, 0xee))
      const twelve = Buffer.concat(Array.from({ length: 12 }, () => message))
      for (const lane of lanes) for (let batch = 0; batch < 26; batch++) lane.write(twelve)
      await lanes[0].takeStatus(2 * afterMs + DEADLINE_MS)
      for (const lane of lanes) lane.reset()
      await new Promise((resolve) => setTimeout(resolve, afterMs + DEADLINE_MS / 2))
      answered = (await target.call('stats')).rejected.no_receive - before
      return 'no_receive, back-pressure'
    },
    before: async () => {
      before = (await target.call('stats')).rejected.no_receive
    },
  }
}

