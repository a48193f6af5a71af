/**
 * What is measured, and by whom. `run` goes to a contender's `run`; `figures` says what is taken from its samples, the
 * row's own figure first. `memlane:2` is the contender `memlane` in its variant `2`. What counts as good is in `goals.mjs`.
 */
import { growthRows } from './growth/rows.mjs'
import { GIB, MIB } from './support/pattern.mjs'

export const REGION_BYTES = 64 * MIB

const ARRIVED = "the bytes are in the initiator's memory"
const APPLIED = 'the target has answered that the bytes are in its memory'

const SERVERS = ['zeromq', 'grpc', 'redis']
const ENGINES = ['dlslime', 'mooncake', 'nixl']
const LARGE = ['memlane', 'memlane:2', 'memlane:4', 'raw', 'raw:2', 'raw:4', 'raw-64k', 'node-net', ...SERVERS, ...ENGINES, 'ucx']

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
const IDLE_P99_US = figure('idle_p99_us', 'p99 µs alone', (sample) => sample.idle_p99_us)
const TIMES_IDLE = figure('times_idle', 'times alone', (sample) => sample.p99_us / sample.idle_p99_us)
const DELAY_MS = figure('delay_ms', 'loop delay p99 ms', ({ delay_ms }) => Math.max(delay_ms.initiator, delay_ms.target))

const LARGE_READ = { kind: 'serial', op: 'read', bytes: 64 * MIB, warmup: 1 }
const SMALL_READ = { kind: 'serial', op: 'read', bytes: 64, warmup: 500 }
const BATCHES = { kind: 'batched', op: 'read', bytes: 64, entries: 1000, warmup: 100 }

/**
 * `scale` is 1 for the full form and less for the quick one: it shortens what a longer look only makes steadier. Where a turn
 * has `count` and `seconds`, the seconds are for contenders that are too slow for the count.
 */
export const rows = (scale) => [
  {
    id: 'read-64MiB',
    title: '64 MiB reads, one at a time; one connection where no number stands',
    contenders: [...LARGE, 'iperf3'],
    completion: ARRIVED,
    run: { ...LARGE_READ, count: scaled(12, scale), seconds: 3 * scale },
    figures: [GBPS, CPU],
  },
  {
    id: 'write-64MiB',
    title: '64 MiB writes, one at a time; one connection where no number stands',
    contenders: [...LARGE, 'ucx-tag', 'iperf3'],
    completion: APPLIED,
    run: { ...LARGE_READ, op: 'write', count: scaled(12, scale), seconds: 3 * scale },
    figures: [GBPS, CPU],
  },
  {
    id: 'delay-64MiB',
    title: '64 MiB reads, one at a time: how late timers come at the slower of the two event loops',
    contenders: ['memlane', 'node-net'],
    completion: ARRIVED,
    run: { ...LARGE_READ, seconds: 2 * scale, delay: true },
    figures: [DELAY_MS, GBPS],
  },
  {
    id: 'read-1MiB',
    title: '1 MiB reads, one at a time, target idle',
    contenders: ['memlane', 'raw', 'raw-64k', 'node-net', 'ipc', ...SERVERS, ...ENGINES, 'ucx'],
    completion: ARRIVED,
    run: { kind: 'serial', op: 'read', bytes: MIB, count: scaled(800, scale), seconds: 3 * scale, warmup: 20 },
    figures: [P50_US, P99_MS, GBPS, CPU],
  },
  {
    id: 'busy-1MiB',
    title: "1 MiB reads, one at a time, target's own code blocked for 300 ms of every 310",
    contenders: ['memlane', 'node-net', 'ipc', ...SERVERS, ...ENGINES],
    completion: ARRIVED,
    run: { kind: 'serial', op: 'read', bytes: MIB, seconds: 4 * scale, warmup: 20, busy: true },
    figures: [P99_MS, P50_MS, GBPS],
  },
  {
    id: 'read-64B',
    title: '64 B reads, one at a time, a promise each',
    contenders: ['memlane', 'raw', 'node-net', ...SERVERS, ...ENGINES, 'ucx'],
    completion: ARRIVED,
    run: { ...SMALL_READ, count: scaled(8000, scale), seconds: 3 * scale },
    figures: [P50_US, P99_US],
  },
  {
    id: 'read-64B-one-core',
    title: '64 B reads, one at a time, a promise each, both processes on one core',
    contenders: ['memlane', 'raw', 'node-net'],
    completion: ARRIVED,
    oneCore: true,
    run: { ...SMALL_READ, count: scaled(8000, scale), seconds: 3 * scale },
    figures: [P50_US, P99_US],
  },
  {
    id: 'read-64B-256',
    title: '64 B reads, 256 under way, a promise or handle each',
    contenders: ['memlane', 'node-net', 'ipc', ...SERVERS, ...ENGINES, 'ucx'],
    completion: ARRIVED,
    run: { kind: 'pipelined', op: 'read', bytes: 64, depth: 256, seconds: 1.5 * scale, warmup: 500 },
    figures: [OPS],
  },
  {
    id: 'batch-64B',
    title: '64 B reads in batches of 1,000, one batch out',
    contenders: ['memlane', 'memlane:prepared', 'node-net', ...SERVERS, ...ENGINES],
    completion: ARRIVED,
    run: { ...BATCHES, out: 1, seconds: 1.5 * scale },
    figures: [OPS],
  },
  {
    id: 'batch-64B-8',
    title: '64 B reads in batches of 1,000, eight batches out',
    contenders: ['memlane', 'memlane:prepared', 'node-net'],
    completion: ARRIVED,
    run: { ...BATCHES, out: 8, seconds: 1.5 * scale },
    figures: [OPS],
  },
  {
    id: 'blocked-caller',
    title: '64 MiB read whose caller blocks for 300 ms in the next line: how long after that it resolves',
    contenders: ['memlane', 'node-net'],
    completion: `${ARRIVED}; "in place" asks that at the very moment the block ends`,
    run: { kind: 'blocked', bytes: 64 * MIB, milliseconds: 300, count: scaled(6, scale) },
    figures: [LATE_MS, WORST_MS, THERE],
  },
  {
    id: 'small-beside-large',
    title: '4 KiB reads, one at a time, beside a write of 1 GiB to the same peer, and alone before it',
    contenders: ['memlane', 'node-net'],
    completion: ARRIVED,
    fresh: { bytes: GIB },
    run: { kind: 'beside', op: 'read', bytes: 4096, count: scaled(1000, scale), seconds: 4 * scale, largeBytes: GIB, warmup: 500 },
    figures: [TIMES_IDLE, P99_US, IDLE_P99_US],
  },
  {
    id: 'memory-100',
    title: 'resident memory of a target with a region of 64 MiB and 100 connections',
    contenders: ['memlane', 'node-net'],
    completion: 'every connection has read 1 MiB, the first one the whole region, and written it',
    fresh: { connections: 100 },
    run: { kind: 'memory', connections: 100 },
    figures: [RSS, BARE, CONNECTIONS],
  },
  ...growthRows(scale),
]

function scaled(count, scale) {
  return Math.max(2, Math.round(count * scale))
}
