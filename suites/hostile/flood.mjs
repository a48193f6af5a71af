/** What 10,000 connections from one source cost somebody else, who reads 1 MiB at a time: with and without, by turns. */
import { setTimeout as sleep } from 'node:timers/promises'
import { program, stopAll, Target } from './rig.mjs'

const COUNT = 10_000
/** The crowd is not the target's, and elsewhere has cores of its own: it takes what the others leave. */
const LAST = ['nice', '-n', '19']
const SOURCE = '127.0.0.9'
const MIB = 1 << 20
const CALM_MS = 3000
const ROUNDS = 3
const HALF_PREFACE = 30

const percentile = (values, share) => values.toSorted((one, other) => one - other)[Math.min(values.length - 1, Math.floor(values.length * share))]

/** Both limits: refused but for 64, and admitted all. */
export async function flood({ seed, exec }) {
  const figures = []
  try {
    for (const [limits, options] of [
      ['default limits, all but 64 refused', {}],
      ['limits raised, all admitted', { maxConnections: 2 * COUNT, maxConnectionsPerSource: 2 * COUNT, handshakeTimeoutMs: 60_000 }],
    ]) {
      figures.push(await measured({ seed, exec, limits, options }))
    }
  } finally {
    stopAll()
  }
  return figures
}

async function measured({ seed, exec, limits, options }) {
  const target = await Target.start({ seed, exec, options })
  const region = target.region('big')
  await target.stopReading()
  await target.bystander('big', 1, MIB)
  const latencies = { calm: [], arriving: [], held: [] }
  const during = async (phase, run) => {
    await target.mark()
    await run()
    latencies[phase].push(...(await target.latencies()))
  }
  const memory = { before: await target.call('usage') }
  let arrivingMs = 0
  for (let round = 0; round < ROUNDS; round++) {
    await during('calm', () => sleep(CALM_MS))
    const crowd = program('crowd', LAST)
    await crowd.call('held')
    const started = performance.now()
    const arrive = () => crowd.call('open', { port: target.port, count: COUNT, from: SOURCE, bytes: HALF_PREFACE })
    await during('arriving', arrive)
    arrivingMs += performance.now() - started
    await during('held', () => sleep(CALM_MS))
    memory.held = await target.call('usage')
    await crowd.call('close')
    crowd.stop()
    await target.until(({ connections }) => connections.open < 10, 20_000)
    await sleep(500)
  }
  const admitted = memory.held.open - memory.before.open
  const figure = {
    limits,
    connections: COUNT,
    admitted,
    reads: Object.fromEntries(Object.entries(latencies).map(([phase, values]) => [phase, values.length])),
    p50_ms: Object.fromEntries(Object.entries(latencies).map(([phase, values]) => [phase, percentile(values, 0.5)])),
    p99_ms: Object.fromEntries(Object.entries(latencies).map(([phase, values]) => [phase, percentile(values, 0.99)])),
    connections_per_s: Math.round((ROUNDS * COUNT) / (arrivingMs / 1000)),
    resident_mib: { before: memory.before.resident / MIB, held: memory.held.resident / MIB },
    kib_per_connection: (memory.held.resident - memory.before.resident) / 1024 / admitted,
    region: region.name,
  }
  await target.stopReading()
  target.stop()
  return figure
}

export function floodLines(figures) {
  return figures.map(({ limits, admitted, p99_ms: p99, reads, connections_per_s: rate, kib_per_connection: kib, resident_mib: mib }) => {
    const each = Object.entries(p99).map(([phase, value]) => `${phase} ${value.toFixed(2)} ms (${reads[phase]} reads)`)
    const ratio = `x${(p99.arriving / p99.calm).toFixed(2)} while they arrive, x${(p99.held / p99.calm).toFixed(2)} while they are held`
    const memory = admitted > 1000 ? `; ${kib.toFixed(2)} KiB resident for each, ${mib.before.toFixed(0)} to ${mib.held.toFixed(0)} MiB` : ''
    return `${limits}: p99 of 1 MiB reads ${each.join(', ')}: ${ratio}; ${rate} connections a second, ${admitted} admitted${memory}`
  })
}
