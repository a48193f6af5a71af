/** One process of a fleet on real sockets: endpoints on addresses of their own, each with a context of its own as if it were a process. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import process from 'node:process'
import { TcpEndpoint } from 'memlane'
import { RedisDirectory } from 'memlane/redis'
import { answerCalls } from '../support/channel.mjs'

const REGION = 'kv'
const SMALL = 64
const PATIENCE_MS = 60_000
/** What a read may take while one endpoint does not answer. */
const STOPPED_MS = 1000

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)))

/** @type {Map<number, { endpoint: TcpEndpoint, scratch: object, peers: Map<number, object> }>} */
const members = new Map()
let renewals = []

const peersOf = () => [...members.values()].flatMap(({ scratch, peers }) => [...peers].map(([number, peer]) => ({ number, peer, scratch })))
const pick = (list) => list[Math.floor(Math.random() * list.length)]

/**
 * Bytes of native memory that are resident, and of the heap of JavaScript that are in use. How large V8 keeps its heap says
 * nothing, nor do pages of programs that are read when they first run.
 */
function resident() {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapTotal, heapUsed } = process.memoryUsage()
  const [, anonymous] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(anonymous) * 1024 - heapTotal + heapUsed
}

const handlers = {
  /** Endpoints of these numbers at these addresses. */
  async listen({ endpoints, bytes, limits }) {
    for (const { number, host, port } of endpoints) {
      const endpoint = await TcpEndpoint.listen({ host, port, localAddress: host, ...limits })
      endpoint.alloc(REGION, bytes, { access: 'read' })
      const scratch = endpoint.alloc('scratch', bytes)
      members.set(number, { endpoint, scratch, peers: new Map() })
    }
    return [...members].map(([number, { endpoint }]) => ({ number, host: endpoint.host, port: endpoint.port }))
  },

  /** Connects each endpoint to those that it is told, all at once; when each stood, in milliseconds since `from`. */
  async connect({ links, from }) {
    const one = async ({ number, to }) => {
      const { endpoint, peers, scratch } = members.get(number)
      const peer = await endpoint.connect(`tcp://${to.host}:${to.port}`, { timeoutMs: PATIENCE_MS })
      peers.set(to.number, peer)
      await peer.read(REGION, { into: scratch, length: SMALL })
      return Date.now() - from
    }
    return Promise.all(links.map(one))
  },

  /** A large read from every peer, one after the other, for which each opens its second lane. */
  async widen({ bytes }) {
    for (const { peer, scratch } of peersOf()) await peer.read(REGION, { into: scratch, length: bytes })
  },

  async regions({ count }) {
    const [{ endpoint }] = members.values()
    const regions = Array.from({ length: count }, (_, index) => endpoint.alloc(`region ${index}`, SMALL, { access: 'read' }))
    const after = { resident: resident(), mappings: readFileSync('/proc/self/maps', 'utf8').split('\n').length }
    for (const region of regions) await region.close()
    return after
  },

  /** What is resident once nothing is left that could go. */
  memory: () => resident(),

  counters() {
    const all = [...members.values()].map(({ endpoint }) => endpoint.stats())
    const sum = (of) => all.reduce((total, stats) => total + of(stats), 0)
    return { dialled: sum(({ lanes }) => lanes.dialled), accepted: sum(({ connections }) => connections.accepted), open: sum(({ connections }) => connections.open) }
  },

  /** Reads of 64 bytes from peers at random but `victim`, one every so often from each endpoint; and one at a time from it. */
  async reads({ victim, seconds, everyMs }) {
    const end = performance.now() + seconds * 1000
    const micros = []
    let failed = 0
    let late = 0
    const steady = async ({ scratch, peers }) => {
      const others = [...peers].filter(([number]) => number !== victim).map(([, peer]) => peer)
      if (others.length === 0) return
      for (let at = performance.now() + Math.random() * everyMs; at < end; at += everyMs) {
        await pause(at - performance.now())
        const began = performance.now()
        await pick(others)
          .read(REGION, { into: scratch, length: SMALL })
          .wait()
          .catch(() => failed++)
        micros.push(Math.round((performance.now() - began) * 1000))
      }
    }
    const stubborn = async ({ scratch, peers }) => {
      const peer = peers.get(victim)
      while (peer !== undefined && performance.now() < end) {
        const read = peer.read(REGION, { into: scratch, length: SMALL, timeoutMs: STOPPED_MS })
        await read.wait().catch(({ code }) => (late += code === 'ERR_TIMEOUT' ? 1 : 0))
        await pause(everyMs)
      }
    }
    await Promise.all([...members.values()].flatMap((member) => [steady(member), stubborn(member)]))
    return { micros, failed, late }
  },

  /** Reads from the endpoint `number` until each that knows it has had an answer; when, by the clock. */
  async regain({ number }) {
    const one = async ({ scratch, peer }) => {
      for (let failures = 0; ; failures++) {
        try {
          await peer.read(REGION, { into: scratch, length: SMALL })
          return { at: Date.now(), failures }
        } catch {
          // Again, at once: the engine says when it dials.
        }
      }
    }
    return Promise.all(peersOf().filter((known) => known.number === number).map(one))
  },

  /** Announces every endpoint by one client of that server, and notes each renewal from then on. */
  async announce({ port }) {
    const { Redis } = createRequire(import.meta.url)('ioredis')
    const redis = new Redis({ host: '127.0.0.1', port })
    const client = {
      call(command, ...rest) {
        if (command === 'EVAL') renewals.push(Date.now())
        return redis.call(command, ...rest)
      },
    }
    const directory = new RedisDirectory(client)
    const announce = ([number, { endpoint }]) => directory.announce(`member-${number}`, endpoint.endpointInfo())
    const announcements = await Promise.all([...members].map(announce))
    handlers.withdraw = async () => {
      await Promise.all(announcements.map((announcement) => announcement.close()))
      redis.disconnect()
    }
    renewals = []
  },

  renewals: () => renewals,

  leave() {
    setImmediate(() => process.exit(0))
  },
}

answerCalls(process, handlers)
