/** One side of a growth row, in a process of its own: a target with many connections, or an initiator with many peers. */
import { answerCalls } from '../support/channel.mjs'
import { MIB } from '../support/pattern.mjs'

/** Only processes that were asked for many of something have so much. */
const ROOM = { maxConnections: 100_000, maxConnectionsPerSource: 100_000, maxInfoBytes: 64 * MIB, idleTimeoutMs: 600_000 }

const REGION = 'bench'
const REGION_BYTES = 16 * MIB

let endpoint = null
let scratch = null
let peers = []

answerCalls(process, {
  /** Listens on every address of the loopback, so that one endpoint is as many peers as somebody likes. */
  async serve() {
    const { TcpEndpoint } = await import('memlane')
    endpoint = await TcpEndpoint.listen({ host: '0.0.0.0', ...ROOM })
    endpoint.alloc(REGION, REGION_BYTES, { access: 'readwrite' })
    return endpoint.port
  },
  /** Another `count` small regions; how long one took, in microseconds. */
  alloc({ from, to }) {
    const start = performance.now()
    for (let index = from; index < to; index++) endpoint.alloc(regionName(index), 64, { access: 'readwrite' })
    return { us: ((performance.now() - start) * 1000) / (to - from) }
  },
  async open({ lanes }) {
    const { TcpContext, TcpEndpoint } = await import('memlane')
    const context = new TcpContext({ ...ROOM, ...(lanes === undefined ? {} : { lanesPerPeer: lanes }) })
    endpoint = await TcpEndpoint.listen({ context })
    scratch = endpoint.alloc('scratch', REGION_BYTES)
  },
  /** Has `count` peers, each of which was read from. An address of its own makes each a peer with connections of its own. */
  async connect({ port, count }) {
    while (peers.length < count) {
      const some = Array.from({ length: Math.min(64, count - peers.length) }, (_, index) => addressOf(peers.length + index))
      const more = await Promise.all(some.map((address) => endpoint.connect(`tcp://${address}:${port}`)))
      await Promise.all(more.map((peer) => peer.read(REGION, { into: scratch, length: 64 })))
      peers.push(...more)
    }
  },
  refresh: () => peers[0].refresh(),
  run: (row) => LOOPS[row.kind](row),
})

process.on('disconnect', () => process.exit())

function addressOf(index) {
  return `127.1.${index >> 8}.${index & 255}`
}

function regionName(index) {
  return `region ${index}`
}

const LOOPS = { peers: overPeers, regions: overRegions, large: largeReads }

/** `depth` reads under way, which go to the peers in turn. */
async function overPeers({ peers: count, bytes, depth, seconds }) {
  const some = peers.slice(0, count)
  let next = 0
  let operations = 0
  const slots = Math.floor(REGION_BYTES / bytes)
  const lane = async (slot, end) => {
    const offset = (slot % slots) * bytes
    while (performance.now() < end) {
      for (let burst = 0; burst < 16; burst++) {
        const peer = some[next++ % some.length]
        await peer.read(REGION, { into: scratch, intoOffset: offset, remoteOffset: offset, length: bytes })
        operations++
      }
    }
  }
  const timed = async (end) => {
    operations = 0
    const start = performance.now()
    await Promise.all(Array.from({ length: depth }, (_, slot) => lane(slot, end)))
    return (performance.now() - start) / 1000
  }
  // Every connection is warm before anything counts.
  await timed(performance.now() + seconds * 250)
  const elapsed = await timed(performance.now() + seconds * 1000)
  return { ops: operations / elapsed, gbps: (operations * bytes) / elapsed / 1e9 }
}

/** One read of 64 bytes after another, of regions by their names, without an order. */
async function overRegions({ regions, count }) {
  const latencies = new Float64Array(count)
  let state = 1
  for (let index = -count / 10; index < count; index++) {
    state = (state * 48_271) % 0x7fff_ffff
    const name = regionName(state % regions)
    const start = performance.now()
    await peers[0].read(name, { into: scratch, length: 64 })
    if (index >= 0) latencies[index] = performance.now() - start
  }
  latencies.sort()
  return { p50_us: latencies[count >> 1] * 1000, p99_us: latencies[Math.floor(count * 0.99)] * 1000 }
}

/** Reads of the whole region, four under way. */
async function largeReads({ seconds }) {
  let operations = 0
  const read = async (end) => {
    do {
      await peers[0].read(REGION, { into: scratch })
      operations++
    } while (performance.now() < end)
  }
  await read(0)
  operations = 0
  const start = performance.now()
  await Promise.all(Array.from({ length: 4 }, () => read(start + seconds * 1000)))
  return { gbps: (operations * REGION_BYTES) / (performance.now() - start) / 1e6 }
}
