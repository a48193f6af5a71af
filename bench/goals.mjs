/**
 * What counts as good. A line compares a figure of memlane's with one of others in the same run; where several are named,
 * on either side, it is the best of those that were there. `ratio` is ours divided by theirs.
 */
import { GROWTH_GOALS } from './growth/rows.mjs'
import { roadGoals } from './road-rows.mjs'
import { median } from './stats.mjs'

const LIBRARIES = ['dlslime', 'mooncake', 'nixl', 'ucx', 'ucx-tag']
const PEERS = ['node-net', 'ipc', 'zeromq', 'grpc', 'redis', ...LIBRARIES]

const LANES = ['memlane', 'memlane:2', 'memlane:4']
const RAW_LANES = ['raw', 'raw:2', 'raw:4']

const atLeast = (limit) => ({ ratio }) => ratio >= limit
const atMost = (limit) => ({ ratio }) => ratio <= limit
const below = ({ ratio }) => ratio < 1

const large = (op) => ({ row: `${op}-64MiB`, figure: 'gbps', unit: 'GB/s' })
const lanes = (op) => ({ ...large(op), ours: LANES })
const processor = (op) => ({ row: `${op}-64MiB`, figure: 'cpu_s_per_gb', unit: 'CPU s/GB', lower: true })
const READ_1MIB = { row: 'read-1MiB', figure: 'p50_us', unit: 'µs p50', lower: true }
const BUSY = { row: 'busy-1MiB', figure: 'p99_ms', unit: 'ms p99', lower: true }
const SMALL = { row: 'read-64B', figure: 'p50_us', unit: 'µs p50', lower: true }
const MANY = { row: 'read-64B-256', figure: 'ops', unit: 'operations/s' }
const BATCH = { row: 'batch-64B', figure: 'ops', unit: 'operations/s' }
const BATCHES = { ...BATCH, row: 'batch-64B-8' }
const BESIDE = { row: 'small-beside-large', figure: 'times_idle', unit: '× its p99 alone', lower: true }
const DELAY = { row: 'delay-64MiB', figure: 'delay_ms', unit: 'ms p99', lower: true }
/** A turn has too few of these for a percentile of its own: it is that of all turns. */
const LATE = { row: 'blocked-caller', figure: 'late_p99_ms', unit: 'ms late', lower: true, pooled: true }
const GROWTH = { row: 'memory-1GiB', figure: 'growth_mib', unit: 'MiB grown', lower: true }
const RESIDENT = { row: 'memory-100', figure: 'rss_mib', unit: 'MiB resident', lower: true }

const goal = (id, measure, against, target, met) => ({ id, ...measure, against, target, met })

export const GOALS = [
  goal('G1', large('read'), ['raw'], 'read at least 1.2 × raw', atLeast(1.2)),
  goal('G1', large('write'), ['raw'], 'write at least 1.0 × raw', atLeast(1)),
  ...['read', 'write'].flatMap((op) => [
    goal('G2', lanes(op), RAW_LANES, `${op} at least 1.0 × raw over any number of connections`, atLeast(1)),
    goal('G2', lanes(op), ['node-net'], `${op} at least 1.5 × node:net`, atLeast(1.5)),
    goal('G2', lanes(op), LIBRARIES, `${op} at least 2 × the best of DLSlime, Mooncake, NIXL and UCX`, atLeast(2)),
  ]),
  ...roadGoals(goal, atLeast),
  goal('G3', READ_1MIB, ['raw'], 'at most 1.0 × raw', atMost(1)),
  goal('G3', READ_1MIB, PEERS, 'below every peer', below),
  goal('G4', BUSY, ['node-net'], 'at most 10 ms', ({ value }) => value <= 10),
  goal('G4', { ...BUSY, againstRow: 'read-1MiB' }, ['memlane'], 'at most 5 × its own idle p99', atMost(5)),
  goal('G5', SMALL, ['raw'], 'a core each: at most 1.2 × raw', atMost(1.2)),
  goal('G5', { ...SMALL, row: 'read-64B-one-core' }, ['raw'], 'one core: at most 2.2 × raw', atMost(2.2)),
  goal('G5', SMALL, ['node-net'], 'a core each: below node:net', below),
  goal('G6', MANY, ['node-net'], 'at least 1,200,000 /s', ({ value }) => value >= 1_200_000),
  goal('G6', MANY, ['node-net'], 'at least 1.5 × node:net', atLeast(1.5)),
  goal('G7', BATCH, ['node-net'], 'one out: at least 4,000,000 /s', ({ value }) => value >= 4_000_000),
  goal('G7', BATCHES, ['node-net'], 'eight out: at least 8,000,000 /s', ({ value }) => value >= 8_000_000),
  goal('G7', BATCH, ['node-net'], 'one out: at least 3 × node:net', atLeast(3)),
  goal('G7', BATCHES, ['node-net'], 'eight out: at least 3 × node:net', atLeast(3)),
  goal('G8', BESIDE, ['node-net'], 'at most 5 ×', ({ value }) => value <= 5),
  goal('G9', processor('read'), ['raw'], 'read at most 0.8 × raw', atMost(0.8)),
  goal('G9', processor('write'), ['raw'], 'write at most 0.8 × raw', atMost(0.8)),
  goal('G10', DELAY, ['node-net'], 'at most 2 ms', ({ value }) => value <= 2),
  ...GROWTH_GOALS,
  goal('G13', LATE, ['node-net'], 'at most 1 ms p99, every byte in place', ({ value, figures }) => {
    return value <= 1 && figures.there.lowest === 1
  }),
  goal('memory-1GiB', GROWTH, ['node-net'], 'at most 2 MiB on either side', ({ value }) => value <= 2),
  goal('memory', RESIDENT, ['node-net'], 'at most 124 MiB', ({ value }) => value <= 124),
]

export const GOAL_IDS = [...new Set(GOALS.map(({ id }) => id))]

/** The rows that a goal's lines are judged by. */
export function rowsOf({ row, againstRow = row }) {
  return [row, againstRow]
}

/** The rows of a goal; one that nobody was asked to take part in is empty. */
function rowsIn(measured, of) {
  return rowsOf(of).map((id) => measured.find((one) => one.id === id) ?? { id, contenders: [] })
}

/** Who was not asked to take part, by bases, so that a goal is not judged; null where it is. */
export function leftOut({ id, target, ours = ['memlane'], ...of }, measured) {
  const [row, otherRow] = rowsIn(measured, of)
  const isAway = (one, ids) => !one.contenders.some((contender) => ids.includes(contender.id))
  const away = [...(isAway(row, ours) ? [ours] : []), ...(isAway(otherRow, of.against) ? [of.against] : [])]
  const bases = [...new Set(away.flat().map((contender) => contender.split(':')[0]))]
  return bases.length === 0 ? null : { id, row: row.id, target, bases }
}

/** The line of a goal over rows that were all measured; null when nobody of one side was asked to take part. */
export function judge({ id, unit, target, met, ...of }, measured) {
  const [row, otherRow] = rowsIn(measured, of)
  const ours = best(row, row, of.ours ?? ['memlane'], of)
  const theirs = best(otherRow, row, of.against, of)
  if (ours === null || theirs === null) return null
  const [mine, other] = [ours, theirs].map(({ figures }) => figures?.[of.figure])
  const value = mine ? valueOf(mine, of) : null
  const ratio = mine && other ? ratioOf(mine, other, of) : null
  return {
    id,
    row: row.id,
    by: ours.name,
    value,
    unit: mine?.pooled && of.pooled ? `${unit}, ${mine.pooled.what}` : unit,
    against: { name: theirs.name, value: other ? valueOf(other, of) : null },
    absent: theirs.absent,
    unlike: theirs.unlike,
    ratio,
    target,
    // No ratio is no proof: every comparison with NaN is false.
    met: value !== null && met({ value, ratio: ratio ?? Number.NaN, figures: ours.figures }),
  }
}

/** The best of `ids` in a row; those with another completion than that of `like` are named and not compared. */
function best(row, like, ids, { figure, lower = false }) {
  const asked = row.contenders.filter(({ id }) => ids.includes(id))
  const [unlike, comparable] = parted(asked, (one) => (one.completion ?? row.completion) !== like.completion)
  if (comparable.length === 0) return null
  const [there, absent] = parted(comparable, ({ figures }) => Number.isFinite(figures?.[figure].median))
  const order = (one, other) => (one.figures[figure].median - other.figures[figure].median) * (lower ? 1 : -1)
  const [first] = there.sort(order)
  return { name: first?.name ?? names(absent).join(', '), figures: first?.figures, absent: names(absent), unlike: names(unlike) }
}

function parted(list, test) {
  return [list.filter((one) => test(one)), list.filter((one) => !test(one))]
}

function names(contenders) {
  return contenders.map(({ name }) => name)
}

function valueOf({ median: middle, pooled }, of) {
  return of.pooled ? pooled.value : middle
}

/**
 * The median over rounds of one contender's figure divided by another's of the same round. The two were taken seconds
 * apart, so what drifts on the machine drifts out of their ratio. Rounds of different rows, unless those took turns, or all rounds
 * together, are no pairs.
 */
function ratioOf(mine, other, of) {
  if (of.pooled || (of.againstRow && !of.paired)) return valueOf(mine, of) / valueOf(other, of)
  return median(mine.rounds.map((value, round) => value / other.rounds[round]))
}
