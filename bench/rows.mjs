/**
 * What is measured, and by whom. `run` goes to a contender's `run`; `figures` says what is taken from its samples, the
 * row's own figure first; `pool` takes one from the samples of all turns. `memlane:2` is the contender `memlane` in its variant `2`. What counts as good is in `goals.mjs`.
 */
import { growthRows } from './growth/rows.mjs'
import { roadRows } from './road-rows.mjs'
import { honestPercentile, sort } from './stats.mjs'
import { GIB, MIB } from './support/pattern.mjs'

export const REGION_BYTES = 64 * MIB

const ARRIVED = "the bytes are in the initiator's memory"
const APPLIED = 'the target has answered that the bytes are in its memory'

const SERVERS = ['zeromq', 'grpc', 'redis']
const ENGINES = ['dlslime', 'mooncake', 'nixl']
/** Those that rows are limited to which show what size, depth and caches do, not who is faster. */
const CLOSE = ['memlane', 'raw', 'node-net']
const LARGE = ['memlane', 'memlane:2', 'memlane:4', 'raw', 'raw:2', 'raw:4', 'raw-64k', 'node-net', ...SERVERS, ...ENGINES, 'ucx']

const figure = (key, title, of, text = null) => ({ key, title, of, text })

const GBPS = figure('gbps', 'GB/s', (sample) => sample.gbps)
const OPS = figure('ops', 'operations/s', (sample) => sample.ops)
const P50_US = figure('p50_us', 'p50 µs', (sample) => sample.p50_us)
const P99_US = figure('p99_us', 'p99 µs', (sample) => sample.p99_us)
const P999_US = figure('p999_us', 'p99.9 µs', (sample) => sample.p999_us ?? Number.NaN)
const MAX_US = figure('max_us', 'max µs', (sample) => sample.max_us ?? Number.NaN)
const P50_MS = figure('p50_ms', 'p50 ms', (sample) => sample.p50_us / 1000)
const P99_MS = figure('p99_ms', 'p99 ms', (sample) => sample.p99_us / 1000)
const P999_MS = figure('p999_ms', 'p99.9 ms', (sample) => (sample.p999_us ?? Number.NaN) / 1000)
const MAX_MS = figure('max_ms', 'max ms', (sample) => (sample.max_us ?? Number.NaN) / 1000)
const CPU = figure('cpu_s_per_gb', 'CPU s/GB', ({ cpu_s, gbps, seconds }) => {
  return (cpu_s.initiator + cpu_s.target) / (gbps * seconds)
})
const LATE_MS = figure('late_ms', 'ms late', (sample) => sample.late_us / 1000)
const LATE_P99_MS = {
  ...figure('late_p99_ms', 'p99 ms late', (sample) => sample.worst_us / 1000),
  pool: latest,
}
const THERE = figure('there', 'in place', (sample) => Number(sample.there), (value) => (value === 1 ? 'yes' : 'no'))
const RSS = figure('rss_mib', 'MiB resident', (sample) => sample.rss / MIB)
const BARE = figure('bare_mib', 'before serving', (sample) => sample.bare / MIB)
const CONNECTIONS = figure('connections', 'connections', (sample) => sample.connections)
const BESIDE_GBPS = figure('beside_gbps', 'GB/s of the write', (sample) => sample.beside_gbps)
const IDLE_P99_US = figure('idle_p99_us', 'p99 µs alone', (sample) => sample.idle_p99_us)
const TIMES_IDLE = figure('times_idle', 'times alone', (sample) => sample.p99_us / sample.idle_p99_us)
const GROWTH_MIB = figure('growth_mib', 'MiB grown', ({ growth }) => Math.max(growth.initiator, growth.target) / MIB)
const GROWTH_INITIATOR_MIB = figure('growth_initiator_mib', 'initiator', ({ growth }) => growth.initiator / MIB)
const GROWTH_TARGET_MIB = figure('growth_target_mib', 'target', ({ growth }) => growth.target / MIB)
const DELAY_MS = figure('delay_ms', 'loop delay p99 ms', ({ delay_ms }) => Math.max(delay_ms.initiator, delay_ms.target))

const LARGE_READ = { kind: 'serial', op: 'read', bytes: 64 * MIB, warmup: 1 }
const SMALL_READ = { kind: 'serial', op: 'read', bytes: 64, warmup: 500 }
const COLD_BYTES = 256 * MIB
const SERIAL_1MIB = (scale) => ({ kind: 'serial', bytes: MIB, count: scaled(2000, scale), seconds: 3 * scale, warmup: 20 })
const BATCHES = { kind: 'batched', op: 'read', bytes: 64, entries: 1000, warmup: 100 }

/**
 * `scale` is 1 for the full form and less for the quick one: it shortens what a longer look only makes steadier. Where a turn
 * has `count` and `seconds`, the seconds are for contenders that are too slow for the count. A row that is `full` is left to the full
 * form, unless it is asked for by name; one `apart` has processes of its own, a `fresh` one those of each turn.
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
    // As long in both forms: of fewer samples a 99th percentile is the worst of them.
    run: { ...LARGE_READ, count: Infinity, seconds: 1.5, delay: true },
    figures: [DELAY_MS, GBPS],
  },
  {
    id: 'read-1MiB',
    title: '1 MiB reads, one at a time, target idle',
    contenders: ['memlane', 'raw', 'raw-64k', 'node-net', 'ipc', ...SERVERS, ...ENGINES, 'ucx'],
    completion: ARRIVED,
    run: { ...SERIAL_1MIB(scale), op: 'read' },
    figures: [P50_US, P99_MS, P999_MS, MAX_MS, GBPS, CPU],
  },
  {
    id: 'busy-1MiB',
    title: "1 MiB reads, one at a time, target's own code blocked for 300 ms of every 310",
    contenders: ['memlane', 'memlane:nice', 'node-net', 'ipc', ...SERVERS, ...ENGINES],
    completion: ARRIVED,
    // At least four blocks, or a slow contender has hardly a sample.
    run: { kind: 'serial', op: 'read', bytes: MIB, seconds: Math.max(1.4, 4 * scale), warmup: 20, busy: true },
    figures: [P99_MS, P50_MS, P999_MS, MAX_MS, GBPS],
  },
  {
    id: 'busy-all-1MiB',
    full: true,
    title: '1 MiB reads, one at a time, event loop and two worker threads of the target blocked for 300 ms of every 310',
    contenders: ['memlane', 'memlane:nice', 'node-net'],
    completion: ARRIVED,
    run: { kind: 'serial', op: 'read', bytes: MIB, seconds: 4 * scale, warmup: 20, busy: 'all' },
    figures: [P99_MS, P50_MS, P999_MS, MAX_MS, GBPS],
  },
  ...['read', 'write'].flatMap((op) => [
    {
      full: true,
      ...sized(op, '4KiB', 4 << 10, { count: scaled(4000, scale), seconds: 2 * scale, warmup: 200 }),
      figures: [P50_US, P99_US, P999_US, MAX_US],
    },
    {
      full: true,
      ...sized(op, '64KiB', 64 << 10, { count: scaled(3000, scale), seconds: 2 * scale, warmup: 100 }),
      figures: [P50_US, P99_US, P999_US, MAX_US, GBPS],
    },
    {
      full: true,
      ...sized(op, '16MiB', 16 * MIB, { count: scaled(40, scale), seconds: 2 * scale, warmup: 2 }),
      figures: [GBPS, CPU, P50_MS],
    },
  ]),
  {
    id: 'write-1MiB',
    full: true,
    title: '1 MiB writes, one at a time, always the same bytes',
    contenders: CLOSE,
    completion: APPLIED,
    run: { ...SERIAL_1MIB(scale), op: 'write' },
    figures: [P50_US, P99_MS, P999_MS, MAX_MS, GBPS, CPU],
  },
  ...['read', 'write'].map((op) => ({
    id: `cold-${op}-1MiB`,
    full: true,
    title: `1 MiB ${op}s, one at a time, each behind the last within 256 MiB, so that no cache has its bytes`,
    contenders: CLOSE,
    completion: op === 'read' ? ARRIVED : APPLIED,
    apart: { bytes: COLD_BYTES },
    run: { ...SERIAL_1MIB(scale), op, span: COLD_BYTES },
    figures: [P50_US, P99_MS, P999_MS, MAX_MS, GBPS, CPU],
  })),
  {
    id: 'read-64B',
    title: '64 B reads, one at a time, a promise each',
    contenders: ['memlane', 'raw', 'node-net', ...SERVERS, ...ENGINES, 'ucx'],
    completion: ARRIVED,
    run: { ...SMALL_READ, count: scaled(8000, scale), seconds: 3 * scale },
    figures: [P50_US, P99_US, P999_US, MAX_US],
  },
  {
    id: 'read-64B-one-core',
    title: '64 B reads, one at a time, a promise each, both processes on one core',
    contenders: ['memlane', 'raw', 'node-net'],
    completion: ARRIVED,
    oneCore: true,
    run: { ...SMALL_READ, count: scaled(8000, scale), seconds: 3 * scale },
    figures: [P50_US, P99_US, P999_US, MAX_US],
  },
  ...[16, 64].map((depth) => ({
    id: `read-64B-${depth}`,
    title: `64 B reads, ${depth} under way, a promise each`,
    full: true,
    contenders: ['memlane', 'node-net'],
    completion: ARRIVED,
    run: { kind: 'pipelined', op: 'read', bytes: 64, depth, seconds: 1.5 * scale, warmup: 500 },
    figures: [OPS],
  })),
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
    title: '64 B reads in batches of 1,000, one batch out; a promise for each batch, or for each entry where there are no batches',
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
    run: { kind: 'blocked', bytes: 64 * MIB, milliseconds: 300, count: scaled(15, scale), pool: true },
    figures: [LATE_P99_MS, LATE_MS, THERE],
  },
  {
    id: 'small-beside-large',
    title: '4 KiB reads, one at a time, beside a write of 1 GiB to the same peer, and alone before it',
    contenders: ['memlane', 'node-net'],
    completion: ARRIVED,
    fresh: { bytes: GIB },
    run: { kind: 'beside', op: 'read', bytes: 4096, count: 2000, seconds: 4 * scale, largeBytes: GIB, warmup: 500 },
    figures: [TIMES_IDLE, P99_US, P999_US, MAX_US, IDLE_P99_US, BESIDE_GBPS],
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
  {
    id: 'memory-1GiB',
    title: 'by how much resident memory grows on either side while 1 GiB is read, written and read again',
    contenders: ['memlane', 'node-net'],
    completion: 'the bytes are where they belong; every page of both regions was touched before',
    fresh: { bytes: GIB, checked: MIB },
    run: { kind: 'growth', bytes: GIB },
    figures: [GROWTH_MIB, GROWTH_INITIATOR_MIB, GROWTH_TARGET_MIB],
  },
  ...secureRows(scale),
  ...roadRows(largeOnRoad, scale),
  ...growthRows(scale),
]

/** What encryption and authentication cost, by name alone: `--only tls-read-64MiB,…`. */
function secureRows(scale) {
  const contenders = ['memlane', 'memlane:tls', 'memlane:token', 'node-net', 'node-net:tls']
  const large = ['read', 'write'].map((op) => ({
    id: `tls-${op}-64MiB`,
    title: `64 MiB ${op}s, one at a time, over TLS 1.3 and beside it`,
    full: true,
    contenders,
    completion: op === 'read' ? ARRIVED : APPLIED,
    run: { ...LARGE_READ, op, count: scaled(12, scale), seconds: 3 * scale },
    figures: [GBPS, CPU],
  }))
  const small = {
    id: 'tls-read-64B',
    title: '64-byte reads, one at a time, over TLS 1.3 and beside it',
    full: true,
    contenders,
    completion: ARRIVED,
    run: { ...SMALL_READ, count: scaled(20_000, scale), seconds: 3 * scale },
    figures: [P50_US, P99_US],
  }
  return [...large, small]
}

function largeOnRoad(op, count) {
  return { completion: op === 'read' ? ARRIVED : APPLIED, run: { ...LARGE_READ, op, count }, figures: [GBPS, CPU] }
}

/** Operations of one size, one at a time, by those that show what the size does. */
function sized(op, name, bytes, { count, seconds, warmup }) {
  return {
    id: `${op}-${name}`,
    title: `${name.replace(/(\d+)/, '$1 ')} ${op}s, one at a time`,
    contenders: CLOSE,
    completion: op === 'read' ? ARRIVED : APPLIED,
    run: { kind: 'serial', op, bytes, count, seconds, warmup },
  }
}

/** The 99th percentile over all turns, or the latest of all where those are too few for one. */
function latest(samples) {
  const sorted = sort(samples.flatMap(({ latencies }) => [...latencies]))
  const p99 = honestPercentile(sorted, 0.99) / 1000
  if (Number.isNaN(p99)) return { value: sorted.at(-1) / 1000, what: `worst of ${sorted.length}`, n: sorted.length }
  return { value: p99, what: `p99 of ${sorted.length}, worst ${(sorted.at(-1) / 1000).toFixed(2)}`, n: sorted.length }
}

function scaled(count, scale) {
  return Math.max(2, Math.round(count * scale))
}
