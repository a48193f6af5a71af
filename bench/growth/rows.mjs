/** What is measured of growth: the same work with more and more peers, regions and lanes, and what many idle peers cost. */
import { MIB } from '../support/pattern.mjs'

const CONTENDERS = ['memlane']
const ARRIVED = "the bytes are in the initiator's memory"
export const IDLE_PEERS = 1000

const figure = (key, title) => ({ key, title, of: (sample) => sample[key], text: null })
const OPS = figure('ops', 'operations/s')
const GBPS = figure('gbps', 'GB/s')
const P50_US = figure('p50_us', 'p50 µs')
const P99_US = figure('p99_us', 'p99 µs')

const row = (id, title, run, figures, completion = ARRIVED) => ({ id, title, contenders: CONTENDERS, completion, growth: true, run, figures })

/** `scale` as for the other rows. */
export const growthRows = (scale) => [
  ...[1, 8, 64, 256].map((count) =>
    row(`growth-peers-${count}`, `64 B reads, 4,096 under way, spread over ${count} peers`, { kind: 'peers', count, bytes: 64, depth: 4096 / count, seconds: scale / 2 }, [OPS])
  ),
  ...[1, 8, 64, 256].map((count) =>
    row(`growth-peers-large-${count}`, `1 MiB reads, two under way with each of ${count} peers`, { kind: 'peers', count, bytes: MIB, depth: 2, seconds: scale / 2 }, [GBPS])
  ),
  ...[10, 1000, 100_000].map((count) =>
    row(`growth-regions-${count}`, `64 B reads, one at a time, of ${count} regions by their names`, { kind: 'regions', count, reads: Math.round(8000 * scale) }, [P50_US, P99_US])
  ),
  ...[1, 2, 4, 8, 16].map((count) =>
    row(`growth-lanes-${count}`, `16 MiB reads, four under way, lanesPerPeer ${count}`, { kind: 'lanes', count, seconds: scale / 2 }, [GBPS])
  ),
  row(
    `growth-idle-${IDLE_PEERS}`,
    `${IDLE_PEERS} peers at rest, each of which has read 1 MiB`,
    { kind: 'idle', count: IDLE_PEERS, seconds: 10 * scale },
    [
      figure('kib', 'KiB resident a peer, the larger side'),
      figure('initiator_kib', 'initiator'),
      figure('target_kib', 'target'),
      figure('wakes', 'wake-ups/s of I/O threads'),
      figure('node_wakes', "of Node's"),
      figure('cpu_ms', 'ms of processor/s'),
    ],
    'every connection was used, and was left alone for three seconds'
  ),
]

const flat = (from, to, measure) => ({ ...measure, row: `growth-${to}`, againstRow: `growth-${from}`, paired: true })
const idle = (measure) => ({ ...measure, row: `growth-idle-${IDLE_PEERS}`, lower: true })
const within = (limit) => ({ value }) => value <= limit
const line = (id, measure, target, met) => ({ id, ...measure, against: CONTENDERS, target, met })

export const GROWTH_GOALS = [
  line('G11', idle({ figure: 'kib', unit: 'KiB a peer' }), 'at most 40 KiB', within(40)),
  // Once a minute for each peer would be 17 a second.
  line('G11', idle({ figure: 'wakes', unit: 'wake-ups/s' }), 'at most 1 a second for all peers', within(1)),
  line('G12', flat('peers-1', 'peers-256', { figure: 'ops', unit: 'operations/s' }), '256 peers at least 0.85 × one', ({ ratio }) => ratio >= 0.85),
  line('G12', flat('peers-large-1', 'peers-large-256', { figure: 'gbps', unit: 'GB/s' }), '256 peers at least 0.85 × one', ({ ratio }) => ratio >= 0.85),
  line('G12', flat('regions-10', 'regions-100000', { figure: 'p50_us', unit: 'µs p50', lower: true }), '100,000 regions at most 1.15 × ten', ({ ratio }) => ratio <= 1.15),
]
