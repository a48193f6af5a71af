/**
 * The program under attack: a listening endpoint, and what it sees of its own memory, sockets and counters. Steered over Node's
 * channel; none of that passes memlane.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { TcpEndpoint } from 'memlane'
import { answerCalls } from '../../bench/support/channel.mjs'
import { CANARY, contentOf, FILE_BYTES, FILE_LAYOUT, LAYOUT } from './layout.mjs'
import { Watched } from './memory.mjs'
import { countersOf, highest, resetHighest, resident, sockets } from './usage.mjs'

let endpoint
let seed
let watched
let open
let looks = 0
/** The good client's connection alone is open between two cases. */
const RESTING = 1
const RESTS_MS = 5000
const GC_EVERY = 16
const regions = new Map()
const receives = new Map()

answerCalls(process, {
  async listen({ options, path, seed: given }) {
    seed = given
    endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0, ...options })
    writeFileSync(path, Buffer.alloc(FILE_BYTES, CANARY))
    watched = new Watched(openSync(path, 'r'), FILE_BYTES)
    const made = LAYOUT.map((region) => alloc(region))
    for (const region of FILE_LAYOUT) made.push(await map(region, path))
    // Mapped: the name is not needed any more.
    rmSync(path)
    return { port: endpoint.port, pid: process.pid, regions: made, watchedBytes: watched.bytes }
  },

  /** How things are before an attack. */
  async look() {
    // What came before may still be on its way out.
    const late = performance.now() + RESTS_MS
    while (endpoint.stats().connections.open > RESTING && performance.now() < late) await sleep(2)
    // Its own garbage is no growth. Every time would take longer than all else here.
    if (looks++ % GC_EVERY === 0) globalThis.gc()
    resetHighest()
    open = endpoint.stats().connections.open
    return { counters: countersOf(endpoint.stats()), sockets: sockets(), resident: resident(), open }
  },

  /**
   * How they are behind it: once its connections are gone and the counters have moved as they have to, at the latest when
   * patience is over.
   */
  async settle({ expected, patienceMs, sockets: before, applied = [], undefinedRanges = [], collect = false }) {
    for (const { region, offset, bytes } of applied) watched.expect(region, offset, Buffer.from(bytes))
    for (const { region, offset, length } of undefinedRanges) watched.allow(region, offset, length)
    const deadline = performance.now() + patienceMs
    const settled = () => {
      const counters = countersOf(endpoint.stats())
      return endpoint.stats().connections.open === open && sockets() <= before && Object.entries(expected).every(([name, count]) => counters[name] >= count)
    }
    while (!settled() && performance.now() < deadline) await sleep(2)
    const grown = highest()
    if (collect) globalThis.gc()
    const stats = endpoint.stats()
    return {
      counters: countersOf(stats),
      sockets: sockets(),
      open: stats.connections.open,
      resident: resident(),
      highest: grown,
      differences: watched.differences(),
    }
  },

  /** Every region holds again what it held at first. */
  refill() {
    for (const { view, content } of regions.values()) view.set(content)
    watched.retake()
  },

  differences: () => watched.differences(),
  stats: () => endpoint.stats(),
  usage: () => ({ resident: process.memoryUsage.rss(), sockets: sockets(), open: endpoint.stats().connections.open }),
  highest: () => highest(),

  /** One more region, made as those of the layout. */
  alloc: (region) => alloc(region),
  async map({ path, ...region }) {
    const made = await endpoint.mapFile(region.name, path, { access: 'read' })
    return { ...region, length: made.length, access: 'read', address: made.address }
  },

  /** Closes a region; how long its fence took, and what its memory holds from then on. */
  async close({ name, drainMs }) {
    const { region, view } = regions.get(name)
    regions.delete(name)
    const started = performance.now()
    await region.close(drainMs === undefined ? {} : { drainMs })
    watched.expect(name, 0, Buffer.from(view))
    return { ms: performance.now() - started, bytes: Buffer.from(view) }
  },
  /** Lets go of a closed region's memory: it is not looked at any more. */
  forget: (name) => watched.remove(name),
  async closeMapped(name) {
    const started = performance.now()
    await regions.get(name).region.close()
    return performance.now() - started
  },

  recv({ id, length, region, offset, ...options }) {
    const into = region === undefined ? new Uint8Array(length) : regions.get(region).region
    receives.set(id, endpoint.recv(into, region === undefined ? options : { offset, length, ...options }))
  },
  async received({ id, seconds = 2 }) {
    try {
      const message = await receives.get(id).waitFor(seconds)
      if (message === null) return null
      const { bytes, messageBytes, tag, truncated, data } = message
      return { bytes, messageBytes, tag: BigInt(tag), truncated, data: Buffer.from(data) }
    } catch (error) {
      return { code: error.code }
    }
  },
  async cancel(id) {
    receives.get(id).cancel()
    await receives.get(id).wait().catch(() => {})
  },
})

process.on('disconnect', () => process.exit())

function alloc({ name, length, access }) {
  const region = endpoint.alloc(name, length, { access })
  const view = new Uint8Array(region.buffer)
  // Unlike all else in this process, so that it can be found.
  view.set(randomBytes(Math.min(32, length)))
  const place = watched.add(name, view)
  const content = contentOf(seed, { name, length, access })
  view.set(content)
  watched.retake()
  regions.set(name, { region, view, content })
  return { name, length, access, address: region.address, place }
}

async function map({ name, offset, length, access }, path) {
  const file = openSync(path, 'r+')
  const content = contentOf(seed, { name, length, access })
  writeSync(file, content, 0, length, offset)
  closeSync(file)
  const region = await endpoint.mapFile(name, path, { offset, length, access, unsafeBuffer: true })
  const view = new Uint8Array(region.buffer)
    watched.add(name, view, offset)
  watched.retake()
  regions.set(name, { region, view, content })
  return { name, length, access, address: region.address }
}
