/** One side of the growth rows, in a process of its own: a target of many, or an initiator with many peers. */
import { percentile, sort } from '../stats.mjs'
import { answerCalls } from '../support/channel.mjs'
import { MIB } from '../support/pattern.mjs'

/** What is asked for here, the limits against strangers would refuse. */
const ROOM = { maxConnections: 100_000, maxConnectionsPerSource: 100_000, maxInfoBytes: 64 * MIB, idleTimeoutMs: 600_000 }

const REGION = 'bench'
const REGION_BYTES = 16 * MIB
const SMALL_BYTES = 64

const endpoints = []
const contexts = []
const peersOf = new Map()
let dialler = null
let scratch = null

answerCalls(process, {
  /** An endpoint with so many small regions beside the large one; its port. It listens on all addresses of the loopback. */
  async serve({ regions = 0 }) {
    const { TcpEndpoint } = await import('memlane')
    const endpoint = await TcpEndpoint.listen({ host: '0.0.0.0', allowUnauthenticated: true, ...ROOM })
    endpoints.push(endpoint)
    endpoint.alloc(REGION, REGION_BYTES, { access: 'readwrite' })
    for (let index = 0; index < regions; index++) endpoint.alloc(regionName(index), SMALL_BYTES, { access: 'readwrite' })
    return endpoint.port
  },
  async open() {
    dialler = await endpointOf({})
    scratch = dialler.alloc('scratch', REGION_BYTES)
  },
  /** Has `count` peers at that port, each read from. An address of its own makes each one that shares no connection. */
  async connect({ port, count, bytes }) {
    const peers = peersAt(port)
    while (peers.length < count) {
      const some = Array.from({ length: Math.min(64, count - peers.length) }, (_, index) => addressOf(peers.length + index))
      const more = await Promise.all(some.map((address) => dialler.connect(`tcp://${address}:${port}`)))
      await Promise.all(more.map((peer) => peer.read(REGION, { into: scratch, length: bytes })))
      peers.push(...more)
    }
  },
  run: (row) => LOOPS[row.kind](row),
})

process.on('disconnect', () => process.exit())

async function endpointOf(limits) {
  const { TcpContext, TcpEndpoint } = await import('memlane')
  const context = new TcpContext({ ...ROOM, ...limits })
  contexts.push(context)
  return TcpEndpoint.listen({ context })
}

function peersAt(key) {
  if (!peersOf.has(key)) peersOf.set(key, [])
  return peersOf.get(key)
}

function addressOf(index) {
  return `127.1.${index >> 8}.${index & 255}`
}

function regionName(index) {
  return `region ${index}`
}

const LOOPS = { peers: overPeers, regions: overRegions, lanes: overLanes }

/** `depth` reads under way with each of the first `count` peers. */
async function overPeers({ port, count, bytes, depth, seconds }) {
  const peers = peersAt(port).slice(0, count)
  const slots = REGION_BYTES / bytes
  let operations = 0
  let end = 0
  const lane = async (peer, slot) => {
    const offset = (slot % slots) * bytes
    const where = { into: scratch, intoOffset: offset, remoteOffset: offset, length: bytes }
    while (performance.now() < end) {
      await peer.read(REGION, where)
      operations++
    }
  }
  const timed = async (duration) => {
    operations = 0
    const start = performance.now()
    end = start + duration * 1000
    await Promise.all(peers.flatMap((peer, at) => Array.from({ length: depth }, (_, slot) => lane(peer, at * depth + slot))))
    return (performance.now() - start) / 1000
  }
  await timed(seconds / 4)
  const elapsed = await timed(seconds)
  return { ops: operations / elapsed, gbps: (operations * bytes) / elapsed / 1e9 }
}

/** One small read after another, of so many regions by their names, without an order. */
async function overRegions({ port, count, reads }) {
  const [peer] = peersAt(port)
  const latencies = []
  let state = 1
  for (let index = -reads / 10; index < reads; index++) {
    state = (state * 48_271) % 0x7fff_ffff
    const name = regionName(state % count)
    const start = performance.now()
    await peer.read(name, { into: scratch, length: SMALL_BYTES })
    if (index >= 0) latencies.push((performance.now() - start) * 1000)
  }
  const sorted = sort(latencies)
  return { p50_us: percentile(sorted, 0.5), p99_us: percentile(sorted, 0.99) }
}

/** Reads of the whole region by so many connections, four reads under way. */
async function overLanes({ port, count, seconds }) {
  const known = peersAt(`${count} lanes`)
  if (known.length === 0) {
    const endpoint = await endpointOf({ lanesPerPeer: count })
    known.push(await endpoint.connect(`tcp://127.0.0.1:${port}`))
  }
  const [peer] = known
  let operations = 0
  const lane = async (end) => {
    do {
      await peer.read(REGION, { into: scratch })
      operations++
    } while (performance.now() < end)
  }
  await lane(0)
  operations = 0
  const start = performance.now()
  await Promise.all(Array.from({ length: 4 }, () => lane(start + seconds * 1000)))
  return { gbps: (operations * REGION_BYTES) / (performance.now() - start) / 1e6 }
}
