/** B17: 10,000 connections and 10,000 half prefaces from one source. */
import { readFileSync } from 'node:fs'
import { DEADLINE_MS } from '../connection.mjs'
import { program, Target } from '../rig.mjs'

const WANTED = 10_000
/** The promise: what a target may take up, its regions not counted. */
const BASE_BYTES = 64 << 20
const EACH_BYTES = 40 << 10
const SOURCE = '127.0.0.9'
/** Per process of the crowd; descriptors are limited per process. */
const EACH = 2500

export const rows = ['B17']
export const alone = true

export const start = ({ seed, exec }) => Target.start({ seed, exec, options: { handshakeTimeoutMs: 1000 }, watcher: 'big page' })

export async function* cases(limited, { seed, exec }) {
  yield* refused(limited)
  const limit = descriptors() - 500
  const count = Math.min(WANTED, limit)
  if (count < WANTED) console.log(`skipped: 10,000 connections that are admitted, because a process may have ${limit + 500} descriptors; ${count} are`)
  for (const [what, bytes] of [['half prefaces', 30]]) {
    const options = { maxConnections: 2 * WANTED, maxConnectionsPerSource: 2 * WANTED, handshakeTimeoutMs: 60_000 }
    const target = await Target.start({ seed, exec, options, watcher: 'big page' })
    yield { row: 'B17', name: `${count} ${what} from one source, limits raised`, sent: `${bytes} bytes on each`, run: () => admitted(target, count, bytes) }
    target.stop()
  }
}

/** With the limits that everybody has: 64 of a source at a time, the others are closed at once. */
function* refused(target) {
  for (const [what, bytes] of [['connections', 0], ['half prefaces', 30]]) {
    const crowd = program('crowd')
    let counters = {}
    yield {
      row: 'B17', name: `10,000 ${what} from one source`, sent: `${bytes} bytes on each`,
      counters: () => counters,
      attack: async () => {
        const before = await target.call('stats')
        let most = 0
        const watching = setInterval(async () => {
          const { connections } = await target.call('stats')
          most = Math.max(most, connections.open)
        }, 20)
        const { connected, failed } = await crowd.call('open', { port: target.port, count: WANTED, from: SOURCE, bytes })
        clearInterval(watching)
        const { limits, connections } = await target.call('stats')
        const allowed = limits.maxConnectionsPerSource
        if (most > allowed + target.connections) throw new Error(`${most} connections were open, ${allowed} are allowed of a source`)
        const taken = connections.accepted - before.connections.accepted
        // Those that are admitted go when their handshake has taken too long, and others take their place.
        await target.until((stats) => stats.connections.open <= target.connections, limits.handshakeTimeoutMs + 2 * DEADLINE_MS)
        crowd.stop()
        const turnedAway = (await target.call('stats')).connections.refused - before.connections.refused
        if (taken + turnedAway !== connected) throw new Error(`${connected} connected, ${failed} did not; ${taken} were taken and ${turnedAway} refused`)
        counters = { refused: turnedAway, 'rejected.limit': turnedAway, timedOut: taken }
        return `${taken} held until the handshake deadline, ${turnedAway} closed`
      },
    }
  }
}

async function admitted(target, count, bytes) {
  const before = await target.call('usage')
  await target.mark()
  const crowds = Array.from({ length: Math.ceil(count / EACH) }, () => program('crowd'))
  const started = performance.now()
  try {
    const wanted = crowds.map((_, at) => Math.min(EACH, count - at * EACH))
    await Promise.all(crowds.map(({ call }, at) => call('open', { port: target.port, count: wanted[at], from: SOURCE, bytes })))
    const stats = await target.until(({ connections }) => connections.open >= count + before.open, 10 * DEADLINE_MS)
    const held = await target.call('usage')
    const ms = performance.now() - started
    const grown = held.resident - before.resident
    const each = grown / count
    await target.serves()
    const latencies = await target.latencies()
    const slowest = Math.max(...latencies)
    const own = held.resident - target.regionBytes
    if (own > BASE_BYTES + count * EACH_BYTES) throw new Error(`${own >> 20} MiB are resident with ${count} connections`)
    if (stats.connections.refused > 0) throw new Error(`${stats.connections.refused} were refused`)
    if (slowest > DEADLINE_MS) throw new Error(`another client's read took ${Math.round(slowest)} ms`)
    await Promise.all(crowds.map(({ call }) => call('close')))
    await target.until(({ connections }) => connections.open <= before.open, 5 * DEADLINE_MS)
    const differences = await target.call('differences')
    if (differences.length > 0) throw new Error(differences.join('; '))
    const after = await target.call('usage')
    if (after.sockets > before.sockets) throw new Error(`${after.sockets} sockets, not ${before.sockets}`)
    const came = `held; ${(each / 1024).toFixed(2)} KiB each, ${(own / 2 ** 20).toFixed(1)} MiB in all`
    return { came, ms, grown, reads: latencies.length, slowest, counters: {}, kibEach: each / 1024 }
  } finally {
    for (const crowd of crowds) crowd.stop()
  }
}

function descriptors() {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
  return hard === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(hard)
}
