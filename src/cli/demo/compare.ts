/** Reads of 1 MiB by every transport in turn, with the target idle and with its event loop blocked in bursts. */
import { percentile, sorted } from '../statistics.js'
import type { Link } from './link.js'
import { PIECE_BYTES } from './prove.js'

const ROUNDS = 3
const WARM_UP_READS = 10
/** A transport that only moves between bursts needs several of them to show it. */
const SECONDS = { idle: 0.4, busy: 1.1 }

/** One transport with the target in one state. */
export interface Row {
  transport: string
  target: 'idle' | 'busy'
  throughput_gbps: number
  p50_ms: number
  p99_ms: number
}

interface Cell {
  transport: string
  target: 'idle' | 'busy'
  link: Link
  latencies: number[]
  milliseconds: number
}

/** `setBusy` steers the target, `tell` hears what is under way and which share of the whole is done, `signal` ends it early. */
export async function compare(
  links: Readonly<Record<string, Link>>,
  length: number,
  { setBusy, tell, signal }: { setBusy(busy: boolean): Promise<void>; tell(text: string, share: number): void; signal: AbortSignal }
): Promise<Row[]> {
  const bytes = Math.min(PIECE_BYTES, length)
  const cells = Object.entries(links).flatMap(([transport, link]) =>
    (['idle', 'busy'] as const).map((target): Cell => ({ transport, target, link, latencies: [], milliseconds: 0 }))
  )
  for (let turn = 0; turn < ROUNDS * cells.length; turn++) {
    signal.throwIfAborted()
    const cell = cells[turn % cells.length] as Cell
    tell(`${cell.transport}, target ${cell.target}`, turn / (ROUNDS * cells.length))
    await readFor(cell.link, bytes, length, { count: WARM_UP_READS })
    if (cell.target === 'busy') await setBusy(true)
    const { latencies, milliseconds } = await readFor(cell.link, bytes, length, { milliseconds: SECONDS[cell.target] * 1000 })
    if (cell.target === 'busy') await setBusy(false)
    for (const latency of latencies) cell.latencies.push(latency)
    cell.milliseconds += milliseconds
  }
  return cells.map(({ transport, target, latencies, milliseconds }) => {
    const inOrder = sorted(latencies)
    const gbps = (latencies.length * bytes) / milliseconds / 1e6
    return { transport, target, throughput_gbps: short(gbps), p50_ms: short(percentile(inOrder, 0.5)), p99_ms: short(percentile(inOrder, 0.99)) }
  })
}

/** One read at a time, each behind the one before it and again from 0 where it would leave the region. */
async function readFor(
  link: Link,
  bytes: number,
  span: number,
  { count = Infinity, milliseconds = Infinity }: { count?: number; milliseconds?: number }
): Promise<{ latencies: number[]; milliseconds: number }> {
  const latencies: number[] = []
  const start = performance.now()
  let now = start
  for (let offset = 0; latencies.length < count && now - start < milliseconds; offset += bytes) {
    if (offset + bytes > span) offset = 0
    await link.read(offset, bytes)
    const done = performance.now()
    latencies.push(done - now)
    now = done
  }
  return { latencies, milliseconds: now - start }
}

function short(value: number): number {
  return Number(value.toPrecision(4))
}
