/**
 * What counts as good. A line compares a figure of memlane's with one of others in the same run; where several are named,
 * on either side, it is the best of those that were there. `ratio` is ours divided by theirs.
 */
import { completionOf } from './completion.mjs'
import { median } from './stats.mjs'

const LIBRARIES = ['dlslime', 'mooncake', 'nixl', 'ucx']
const PEERS = ['node-net', 'ipc', 'zeromq', 'grpc', 'redis', ...LIBRARIES]

const LANES = ['memlane', 'memlane:2', 'memlane:4']
const RAW_LANES = ['raw', 'raw:2', 'raw:4']

const atLeast = (limit) => ({ ratio }) => ratio >= limit
const atMost = (limit) => ({ ratio }) => ratio <= limit
const below = ({ ratio }) => ratio < 1

const large = (op) => ({ row: `${op}-64MiB`, figure: 'gbps', unit: 'GB/s' })
const read1 = { row: 'read-1MiB', figure: 'p50_us', unit: 'µs p50', lower: true }
const busy = { row: 'busy-1MiB', figure: 'p99_ms', unit: 'ms p99', lower: true }
const small = { row: 'read-64B', figure: 'p50_us', unit: 'µs p50', lower: true }
const many = { row: 'read-64B-256', figure: 'ops', unit: 'operations/s' }
const batch = { row: 'batch-64B', figure: 'ops', unit: 'operations/s' }
const cpu = (op) => ({ row: `${op}-64MiB`, figure: 'cpu_s_per_gb', unit: 'CPU s/GB', lower: true })

export const GOALS = [
  { id: 'G1', ...large('read'), against: ['raw'], target: 'read at least 1.2 × raw', met: atLeast(1.2) },
  { id: 'G1', ...large('write'), against: ['raw'], target: 'write at least 1.0 × raw', met: atLeast(1) },
  ...['read', 'write'].flatMap((op) => [
    {
      ...{ id: 'G2', ...large(op), ours: LANES, against: RAW_LANES, met: atLeast(1) },
      target: `${op} at least 1.0 × raw over any number of connections`,
    },
    { id: 'G2', ...large(op), ours: LANES, against: ['node-net'], target: `${op} at least 1.5 × node:net`, met: atLeast(1.5) },
    {
      ...{ id: 'G2', ...large(op), ours: LANES, against: LIBRARIES, met: atLeast(2) },
      target: `${op} at least 2 × the best of DLSlime, Mooncake, NIXL and UCX`,
    },
  ]),
  { id: 'G3', ...read1, against: ['raw'], target: 'at most 1.0 × raw', met: atMost(1) },
  { id: 'G3', ...read1, against: PEERS, target: 'below every peer', met: below },
  { id: 'G4', ...busy, against: ['node-net'], target: 'at most 10 ms', met: ({ value }) => value <= 10 },
  {
    ...{ id: 'G4', ...busy, against: ['memlane'], againstRow: 'read-1MiB', againstFigure: 'p99_ms', met: atMost(5) },
    target: 'at most 5 × its own idle p99',
  },
  { id: 'G5', ...small, against: ['raw'], target: 'a core each: at most 1.2 × raw', met: atMost(1.2) },
  { id: 'G5', ...small, row: 'read-64B-one-core', against: ['raw'], target: 'one core: at most 2.2 × raw', met: atMost(2.2) },
  { id: 'G5', ...small, against: ['node-net'], target: 'a core each: below node:net', met: below },
  { id: 'G6', ...many, against: ['node-net'], target: 'at least 1,200,000 /s', met: ({ value }) => value >= 1_200_000 },
  { id: 'G6', ...many, against: ['node-net'], target: 'at least 1.5 × node:net', met: atLeast(1.5) },
  { id: 'G7', ...batch, against: ['node-net'], target: 'one out: at least 4,000,000 /s', met: ({ value }) => value >= 4e6 },
  {
    ...{ id: 'G7', ...batch, row: 'batch-64B-8', against: ['node-net'], met: ({ value }) => value >= 8e6 },
    target: 'eight out: at least 8,000,000 /s',
  },
  { id: 'G7', ...batch, against: ['node-net'], target: 'one out: at least 3 × node:net', met: atLeast(3) },
  { id: 'G7', ...batch, row: 'batch-64B-8', against: ['node-net'], target: 'eight out: at least 3 × node:net', met: atLeast(3) },
  {
    ...{ id: 'G8', row: 'small-beside-large', figure: 'times_idle', unit: '× its p99 alone', lower: true },
    ...{ against: ['node-net'], target: 'at most 5 ×', met: ({ value }) => value <= 5 },
  },
  { id: 'G9', ...cpu('read'), against: ['raw'], target: 'read at most 0.8 × raw', met: atMost(0.8) },
  { id: 'G9', ...cpu('write'), against: ['raw'], target: 'write at most 0.8 × raw', met: atMost(0.8) },
  {
    ...{ id: 'G10', row: 'delay-64MiB', figure: 'delay_ms', unit: 'ms p99', lower: true },
    ...{ against: ['node-net'], target: 'at most 2 ms', met: ({ value }) => value <= 2 },
  },
  {
    ...{ id: 'G13', row: 'blocked-caller', figure: 'worst_ms', unit: 'ms late at worst', lower: true, pooled: true },
    ...{ against: ['node-net'], target: 'at most 1 ms p99, every byte in place' },
    met: ({ value, figures }) => value <= 1 && figures.there.lowest === 1,
  },
  {
    ...{ id: 'memory', row: 'memory-100', figure: 'rss_mib', unit: 'MiB resident', lower: true },
    ...{ against: ['node-net'], target: 'at most 124 MiB', met: ({ value }) => value <= 124 },
  },
]

export const GOAL_IDS = [...new Set(GOALS.map(({ id }) => id))]

/** The rows that a goal's lines are judged by. */
export function rowsOf(goal) {
  return [goal.row, goal.againstRow ?? goal.row]
}

/** The line of a goal over rows that were all measured. Null when nobody it names was asked to take part. */
export function judge(goal, measured) {
  const row = measured.find(({ id }) => id === goal.row)
  const otherRow = measured.find(({ id }) => id === (goal.againstRow ?? goal.row))
  const figure = goal.againstFigure ?? goal.figure
  const ours = best(row, goal.ours ?? ['memlane'], goal)
  // Where it is not the same that is complete, a quotient says nothing.
  const theirs = best(otherRow, goal.against, { ...goal, figure, completion: row.completion })
  if (!ours.asked || !theirs.asked) return null
  const [mine, other] = [ours.figures?.[goal.figure], theirs.figures?.[figure]]
  const value = mine ? valueOf(mine, goal) : null
  const ratio = mine && other ? ratioOf(mine, other, row === otherRow, goal) : null
  // No ratio is no proof: every comparison with NaN is false.
  const met = value !== null && goal.met({ value, ratio: ratio ?? Number.NaN, figures: ours.figures })
  return {
    id: goal.id,
    row: goal.row,
    by: ours.name,
    value,
    unit: goal.unit,
    against: { name: theirs.name, value: other ? valueOf(other, goal) : null },
    without: theirs.without,
    ratio,
    target: goal.target,
    met,
  }
}

function best(row, ids, { figure, lower = false, completion }) {
  const asked = row.contenders.filter(({ id }) => ids.includes(id))
  const like = asked.filter((one) => completion === undefined || completionOf(row, one) === completion)
  const there = like.filter(({ figures }) => figures !== undefined && Number.isFinite(figures[figure].median))
  const order = (one, other) => (one.figures[figure].median - other.figures[figure].median) * (lower ? 1 : -1)
  const [first] = there.sort(order)
  return {
    asked: like.length > 0,
    name: first?.name ?? like.map(({ name }) => name).join(', '),
    figures: first?.figures,
    without: like.filter((one) => !there.includes(one)).map(({ name }) => name),
  }
}

function valueOf({ median: middle, highest }, { pooled = false }) {
  return pooled ? highest : middle
}

function ratioOf(mine, other, paired, goal) {
  return paired && !goal.pooled ? pairedRatio(mine.rounds, other.rounds) : valueOf(mine, goal) / valueOf(other, goal)
}

/**
 * The median over rounds of one contender's figure divided by another's of the same round. The two were taken seconds
 * apart, so what drifts on the machine drifts out of their ratio.
 */
function pairedRatio(ours, theirs) {
  return median(ours.map((value, round) => value / theirs[round]))
}
