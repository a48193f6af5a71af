/** Reads of 1 MiB by every transport in turn, with the target idle and with its event loop blocked in bursts. */
import { serial, summary } from '../../bench/support/measure.mjs'
import { PIECE_BYTES } from './check.mjs'

const ROUNDS = 3
/** A transport that only moves between bursts needs several of them to show it. */
const SECONDS = { idle: 0.4, busy: 1.1 }

/**
 * One row per transport and state of the target. `links` maps a transport's name to its link, `setBusy` steers the
 * target, and `tell` hears what is under way and which share of the whole is done.
 */
export async function compare(links, length, setBusy, tell) {
  const bytes = Math.min(PIECE_BYTES, length)
  const cells = Object.keys(links).flatMap((transport) =>
    ['idle', 'busy'].map((target) => ({ transport, target, latencies: [], seconds: 0 })),
  )
  const turns = ROUNDS * cells.length
  let turn = 0
  for (let round = 0; round < ROUNDS; round++) {
    for (const cell of cells) {
      tell(`${cell.transport}, target ${cell.target}`, ++turn / turns)
      await measure(links[cell.transport], cell, { bytes, span: length }, setBusy)
    }
  }
  return cells.map(({ transport, target, latencies, seconds }) => {
    const { gbps, p50_us, p99_us } = summary(latencies, seconds, bytes)
    const [p50_ms, p99_ms] = [p50_us / 1000, p99_us / 1000]
    return { transport, target, throughput_gbps: short(gbps), p50_ms: short(p50_ms), p99_ms: short(p99_ms) }
  })
}

async function measure(link, cell, { bytes, span }, setBusy) {
  const busy = cell.target === 'busy'
  await serial(link, { op: 'read', bytes, span, count: 10 })
  if (busy) await setBusy(true)
  const { latencies, seconds } = await serial(link, { op: 'read', bytes, span, seconds: SECONDS[cell.target] })
  if (busy) await setBusy(false)
  cell.latencies.push(...latencies)
  cell.seconds += seconds
}

function short(value) {
  return Number(value.toPrecision(4))
}
