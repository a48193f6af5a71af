/** B8, B12, B18: bodies that nobody wants, answers that nobody takes, and regions that are closed meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import { DEADLINE_MS } from '../connection.mjs'
import { GROWTH_BYTES } from '../rig.mjs'
import { ACCESS_DENIED, header, NO_SUCH_REGION, OK, OUT_OF_RANGE, ping, READ, WRITE } from '../wire.mjs'
import { GIB, rejected } from './parts.mjs'

const MIB = 1 << 20
/** WRITEs on each lane while a region closes. */
const EACH = 256
const PAYLOAD = Buffer.alloc(64 * MIB, 0xee)

export async function* cases(target) {
  yield* refusedBodies(target)
  yield* readers(target)
  yield* closing(target)
}

function* refusedBodies(target) {
  const { drainMs } = target.limits
  const places = [
    ['out of range', target.region('page').address, OUT_OF_RANGE],
    ['into a mapping, out of range', target.region('big page').address, OUT_OF_RANGE],
    ['where no region is', 4096, NO_SUCH_REGION],
    ['behind a file', target.region('file page').address, OUT_OF_RANGE],
  ]
  for (const [what, address, status] of places) {
    const native = async ({ native: open }) => {
      const lane = await open()
      lane.write(Buffer.concat([ping(), header(WRITE, PAYLOAD.length, address)]))
      const sent = lane.writeAll(PAYLOAD)
      await lane.status(0, OK)
      const name = await lane.status(1, status)
      // Were the lane to go on behind the payload, this would be answered.
      void sent.then(() => lane.write(ping()))
      return `${name}, ${await lane.ends(drainMs + DEADLINE_MS)}`
    }
    yield { row: 'B8', name: `native: 64 MiB WRITE ${what}`, sent: 'header and payload, then a PING', counters: rejected(status), attack: native }
    const legacy = async ({ open }) => {
      const connection = await open()
      connection.write(header(WRITE, PAYLOAD.length, address))
      connection.write(PAYLOAD)
      return connection.ends()
    }
    yield { row: 'B8', name: `legacy: 64 MiB WRITE ${what}`, sent: 'header and payload', counters: rejected(status), attack: legacy }
  }
  const denied = async ({ native: open }) => {
    const lane = await open()
    const { address, length } = target.region('big')
    lane.write(Buffer.concat([header(WRITE, length, address), PAYLOAD]))
    return `${await lane.status(0, ACCESS_DENIED)}, ${await lane.ends(drainMs + DEADLINE_MS)}`
  }
  yield { row: 'B8', name: 'native: 1 MiB + 5 WRITE without the right, 63 MiB behind', sent: 'header and payload', counters: rejected(ACCESS_DENIED), attack: denied }
}

function* readers(target) {
  const { progressTimeoutMs } = target.limits
  const giant = target.giant
  const big = target.region('big')
  const whole = Array.from({ length: 1024 }, () => header(READ, MIB, big.address))
  const asks = [
    ['native', '1 GiB of a file in one READ', [header(READ, GIB, giant.address)]],
    ['legacy', '1 GiB of a file in one READ', [header(READ, GIB, giant.address)]],
    ['native', '1,024 READs of 1 MiB', whole],
    ['legacy', '1,024 READs of 1 MiB', whole],
    ['native', '100,000 READs of 64 bytes', Array.from({ length: 100_000 }, () => header(READ, 64, big.address))],
    ['native', '100,000 DESCRIBEs', Array.from({ length: 100_000 }, () => header(3, 0, 0))],
  ]
  for (const [wire, what, requests] of asks) {
    const attack = async ({ native, open }) => {
      const connection = await (wire === 'native' ? native() : open())
      connection.pause()
      connection.sink = true
      void connection.writeAll(Buffer.concat(requests))
      // Its end is not heard while nothing is read: the target says by its counter and its sockets that it gave up.
      await target.until((stats) => stats.connections.open <= target.connections, progressTimeoutMs + 2 * DEADLINE_MS)
      connection.resume()
      await connection.rest()
      return `${(connection.heard / MIB).toFixed(1)} MiB in buffers, close`
    }
    yield { row: 'B12', name: `${wire}: ${what}, never reading`, sent: 'the requests, then nothing is read', counters: { timedOut: 1 }, attack }
  }
  const drop = async ({ native }) => {
    const lane = await native({}, { one: true })
    lane.sink = true
    lane.slow = true
    lane.write(header(READ, GIB, giant.address))
    const started = performance.now()
    const beginning = lane.heard
    while (lane.closed === undefined && performance.now() - started < 4 * progressTimeoutMs) {
      await sleep(progressTimeoutMs)
      lane.resume()
    }
    const ms = performance.now() - started
    return `${lane.heard - beginning} bytes taken in ${(ms / 1000).toFixed(1)} s`
  }
  // A byte in each second moves no byte at the target until its window opens again: it may be cut, and never waited for.
  yield { row: 'B12', name: 'native: 1 GiB READ, then one byte a second', sent: 'the READ', counters: { timedOut: 1 }, afterMs: progressTimeoutMs, attack: drop }
}

function* closing(target) {
  const kinds = [['slab', 200 << 10], ['mapping', 2 * MIB]]
  const fences = (name, run) => ({
    row: 'B18',
    name: `close() of a region while ${name}`,
    sent: 'close() with 500 ms to drain',
    // What this suite keeps of the region to look at it, in the target's own process.
    memory: 2 * GROWTH_BYTES,
    attack: run,
  })
  const made = (kind, length) => target.call('alloc', { name: `victim ${kind}`, length, access: 'readwrite' })
  const fenced = async (name) => {
    const { drainMs } = target.limits
    const { ms, bytes } = await target.call('close', { name })
    if (ms > drainMs + DEADLINE_MS) throw new Error(`the fence took ${Math.round(ms)} ms`)
    return { ms, bytes }
  }
  for (const [kind, length] of kinds) {
    const name = `victim ${kind}`
    const half = Buffer.alloc(length / 2, 0x11)
    yield fences(`half a WRITE into it is in: ${kind}`, async ({ native }) => {
      const { address } = await made(kind, length)
      const lane = await native()
      await lane.writeAll(Buffer.concat([header(WRITE, length, address), half]))
      await target.until((stats) => stats.bytes.served >= 0, 10)
      const { ms } = await fenced(name)
      // The rest comes when the region is closed: not a byte of it may land there, nor in what has its memory next.
      lane.write(Buffer.alloc(length / 2, 0x22))
      lane.write(Buffer.concat([header(WRITE, length, address), half]))
      await lane.ends()
      const differences = await target.call('differences')
      if (differences.length > 0) throw new Error(`behind the fence: ${differences.join('; ')}`)
      await target.call('forget', name)
      const next = await target.call('alloc', { name, length, access: 'readwrite' })
      if (next.address === address) throw new Error('an address was given out twice')
      await target.call('close', { name })
      await target.call('forget', name)
      return `fence ${Math.round(ms)} ms, close`
    })
    yield fences(`it is read and nobody takes it: ${kind}`, async ({ native }) => {
      const { address } = await made(kind, length)
      const lane = await native()
      lane.pause()
      lane.sink = true
      await lane.writeAll(Buffer.concat(Array.from({ length: 64 }, () => header(READ, length, address))))
      await sleep(20)
      const { ms } = await fenced(name)
      lane.resume()
      await lane.rest()
      await target.call('forget', name)
      return `fence ${Math.round(ms)} ms, close`
    })
    yield {
      ...fences(`a 64 MiB WRITE into it is refused: ${kind}`, async ({ native }) => {
        const { address } = await made(kind, length)
        const lane = await native()
        lane.write(header(WRITE, PAYLOAD.length, address))
        lane.write(PAYLOAD)
        const { ms } = await fenced(name)
        const said = await lane.status(0, [OUT_OF_RANGE, NO_SUCH_REGION])
        await lane.ends(target.limits.drainMs + DEADLINE_MS)
        await target.call('forget', name)
        return `fence ${Math.round(ms)} ms, ${said === 'ok' ? said : 'refused'}, close`
      }),
      counters: rejected(OUT_OF_RANGE),
    }
  }
  yield {
    ...fences('requests for it stream in: mapping', async ({ native }) => {
      const { address } = await made('mapping', MIB)
      const lanes = await Promise.all(Array.from({ length: 8 }, () => native()))
      const body = Buffer.alloc(64 << 10, 0x33)
      const requests = Array.from({ length: EACH }, (_, at) => Buffer.concat([header(WRITE, body.length, address + at * 1024), body]))
      const stream = Buffer.concat(requests)
      for (const lane of lanes) lane.write(stream)
      await lanes[0].status(0, OK)
      const { ms } = await fenced('victim mapping')
      const counts = [0, 0]
      for (const lane of lanes) {
        for (let sequence = lane === lanes[0] ? 1 : 0; sequence < EACH; sequence++) {
          const { status } = await lane.takeStatus()
          if (status !== OK && status !== NO_SUCH_REGION) throw new Error(`status ${status}`)
          if (status === OK && lane.missed) throw new Error('a closed region was found again')
          lane.missed ||= status === NO_SUCH_REGION
          counts[status]++
        }
      }
      target.refusedWrites = counts[1]
      const differences = await target.call('differences')
      if (differences.length > 0) throw new Error(`behind the fence: ${differences.join('; ')}`)
      await target.call('forget', 'victim mapping')
      return `fence ${Math.round(ms)} ms, ${counts[0]} ok, ${counts[1]} no_such_region`
    }),
    counters: () => ({ 'rejected.no_such_region': target.refusedWrites }),
  }
}

