/**
 * What is measured, by whom, and what counts as good. `run` goes to a contender's `run`; `figures` says what is taken
 * from its samples, the row's own figure first; a goal sets memlane's figure beside that of `against`.
 */
import { MIB } from './support/pattern.mjs'

export const REGION_BYTES = 64 * MIB

const ARRIVED = "the bytes are in the initiator's memory"
const APPLIED = 'the target has answered that the bytes are in its memory'

const figure = (key, title, of, text = null) => ({ key, title, of, text })

const GBPS = figure('gbps', 'GB/s', (sample) => sample.gbps)
const OPS = figure('ops', 'operations/s', (sample) => sample.ops)
const P50_US = figure('p50_us', 'p50 µs', (sample) => sample.p50_us)
const P99_US = figure('p99_us', 'p99 µs', (sample) => sample.p99_us)
const P50_MS = figure('p50_ms', 'p50 ms', (sample) => sample.p50_us / 1000)
const P99_MS = figure('p99_ms', 'p99 ms', (sample) => sample.p99_us / 1000)
const CPU = figure('cpu_s_per_gb', 'CPU s/GB', ({ cpu_s, gbps, seconds }) => {
  return (cpu_s.initiator + cpu_s.target) / (gbps * seconds)
})
const LATE_MS = figure('late_ms', 'ms late', (sample) => sample.late_us / 1000)
const WORST_MS = figure('worst_ms', 'worst ms', (sample) => sample.worst_us / 1000)
const THERE = figure('there', 'in place', (sample) => Number(sample.there), (value) => (value === 1 ? 'yes' : 'no'))
const RSS = figure('rss_mib', 'MiB resident', (sample) => sample.rss / MIB)
const BARE = figure('bare_mib', 'before serving', (sample) => sample.bare / MIB)
const CONNECTIONS = figure('connections', 'connections', (sample) => sample.connections)

/** `scale` is 1 for the full form and less for the quick one: it shortens what a longer look only makes steadier. */
export const rows = (scale) => [
  {
    id: 'read-64MiB',
    title: '64 MiB reads, one connection, one at a time',
    contenders: ['memlane', 'raw', 'raw-64k', 'node-net'],
    completion: ARRIVED,
    run: { kind: 'serial', op: 'read', bytes: 64 * MIB, count: scaled(12, scale), warmup: 1 },
    figures: [GBPS, CPU],
    goal: { against: 'raw', unit: 'GB/s', target: 'at least 0.8 × raw', met: ({ ratio }) => ratio >= 0.8 },
  },
  {
    id: 'write-64MiB',
    title: '64 MiB writes, one connection, one at a time',
    contenders: ['memlane', 'raw', 'raw-64k', 'node-net'],
    completion: APPLIED,
    run: { kind: 'serial', op: 'write', bytes: 64 * MIB, count: scaled(12, scale), warmup: 1 },
    figures: [GBPS, CPU],
    goal: { against: 'raw', unit: 'GB/s', target: 'at least 0.8 × raw', met: ({ ratio }) => ratio >= 0.8 },
  },
  {
    id: 'read-1MiB',
    title: '1 MiB reads, one at a time, target idle',
    contenders: ['memlane', 'raw', 'raw-64k', 'node-net', 'ipc'],
    completion: ARRIVED,
    run: { kind: 'serial', op: 'read', bytes: MIB, count: scaled(800, scale), warmup: 20 },
    figures: [P50_US, P99_US, GBPS, CPU],
  },
  {
    id: 'busy-1MiB',
    title: "1 MiB reads, one at a time, target's JavaScript blocked for 300 ms of every 310",
    contenders: ['memlane', 'node-net', 'ipc'],
    completion: ARRIVED,
    run: { kind: 'serial', op: 'read', bytes: MIB, seconds: 4 * scale, warmup: 20, busy: true },
    figures: [P99_MS, P50_MS, GBPS],
    goal: { against: 'node-net', unit: 'ms p99', target: 'at most 25 ms', met: ({ value }) => value <= 25 },
  },
  {
    id: 'read-64B',
    title: '64 B reads, one at a time, a promise each',
    contenders: ['memlane', 'raw', 'node-net'],
    completion: ARRIVED,
    run: { kind: 'serial', op: 'read', bytes: 64, count: scaled(8000, scale), warmup: 500 },
    figures: [P50_US, P99_US],
    goal: { against: 'raw', unit: 'µs p50', target: 'at most 2 × raw', met: ({ ratio }) => ratio <= 2 },
  },
  {
    id: 'read-64B-256',
    title: '64 B reads, 256 under way, a promise each',
    contenders: ['memlane', 'node-net', 'ipc'],
    completion: ARRIVED,
    run: { kind: 'pipelined', op: 'read', bytes: 64, depth: 256, seconds: 1.5 * scale, warmup: 500 },
    figures: [OPS],
    goal: {
      against: 'node-net',
      unit: 'operations/s',
      target: 'at least 500,000 operations/s',
      met: ({ value }) => value >= 500_000,
    },
  },
  {
    id: 'blocked-caller',
    title: '64 MiB read whose caller blocks for 300 ms in the next line: how long after that it resolves',
    contenders: ['memlane', 'node-net'],
    completion: `${ARRIVED}; "in place" asks that at the very moment the block ends`,
    run: { kind: 'blocked', bytes: 64 * MIB, milliseconds: 300, count: scaled(6, scale) },
    figures: [LATE_MS, WORST_MS, THERE],
    goal: {
      against: 'node-net',
      unit: 'ms late',
      target: 'every byte in place when the loop comes back',
      met: ({ figures }) => figures.there.lowest === 1,
    },
  },
  {
    id: 'memory-100',
    title: 'resident memory of a target with a region of 64 MiB and 100 connections',
    contenders: ['memlane', 'node-net'],
    completion: 'every connection has read 1 MiB, the first one the whole region, and written it',
    fresh: { connections: 100 },
    run: { kind: 'memory', connections: 100 },
    figures: [RSS, BARE, CONNECTIONS],
    goal: { against: 'node-net', unit: 'MiB resident', target: 'at most 124 MiB', met: ({ value }) => value <= 124 },
  },
]

function scaled(count, scale) {
  return Math.max(2, Math.round(count * scale))
}
