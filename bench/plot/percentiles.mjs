/** Pictures of latencies: of an idle and a busy target, and of one row by percentile. */
import { number } from '../support/table.mjs'
import { caption } from './caption.mjs'
import { baseOf, familyOf } from './contenders.mjs'
import { dots } from './dots.mjs'
import { duration, latencyOf } from './figures.mjs'
import { card } from './svg.mjs'

const rowOf = ({ rows }, id) => rows.find((row) => row.id === id)

const IDLE = 'read-1MiB'
const BUSY = 'busy-1MiB'
/** How long the bench keeps a busy target busy at a time. */
const BUSY_US = 300_000

/** One for each row of a busy target; the first is there, or missing, in every run. */
export function idleBusy(results) {
  const others = results.rows.filter(({ id }) => id.startsWith('busy-') && id !== BUSY)
  return [
    oneIdleBusy(results, rowOf(results, BUSY), {
      file: 'idle-busy.svg',
      title: 'Reads from a process whose own code is busy',
      lead: 'p99 of 1 MiB reads while its JavaScript or Python is idle, and while it is busy for 300 ms of every 310. Further left is better.',
    }),
    ...others.map((row) => {
      const lead = `Idle: 1 MiB reads as in ${IDLE}. Busy: ${row.title}. Further left is better.`
      return oneIdleBusy(results, row, { file: `idle-${row.id}.svg`, title: `Reads from a busy process: ${row.id}`, lead })
    }),
  ]
}

function oneIdleBusy(results, busy, { file, title, lead }) {
  const idle = rowOf(results, IDLE)
  if (!idle || !busy) return { file, title, missing: `it needs the rows ${IDLE} and ${BUSY}` }
  const entries = busy.contenders
    .map((one) => {
      // A variant that only a busy target tells from the contender itself.
      const alone = [one.id, baseOf(one.id)].map((id) => idle.contenders.find((other) => other.id === id)).find(Boolean)
      return { id: one.id, name: one.name, family: familyOf(one), values: [latencyOf(alone, 'p99'), latencyOf(one, 'p99')] }
    })
    .filter(({ values }) => values.every((value) => value !== null))
    .map((entry) => ({ ...entry, aside: `${number(entry.values[1] / entry.values[0])} ×` }))
    .sort((one, other) => one.values[1] - other.values[1])
  if (entries.length === 0) return { file, title, missing: `nobody has a p99 in both ${idle.id} and ${busy.id}` }
  const marks = [{ title: 'target idle', hollow: true }, { title: 'target busy' }]
  const reference = { value: BUSY_US, title: 'as long as the target is busy at a time' }
  const draw = dots({ entries, marks, axis: 'p99 of 1 MiB reads, one at a time (logarithmic)', asideTitle: 'busy ÷ idle', reference })
  const list = entries.map(({ name, values: [one, other] }) => `${name} ${duration(one, number)} and ${duration(other, number)}`)
  return {
    file,
    title,
    alt: `p99 of 1 MiB reads, target idle and busy: ${list.join('; ')}`,
    svg: card({ title, lead, draw, caption: caption(results, [busy, idle], entries.map(({ id }) => id)) }),
  }
}

const PERCENTILES = [
  { key: 'p50', title: 'p50', hollow: true },
  { key: 'p99', title: 'p99' },
  { key: 'p999', title: 'p99.9', shape: 'bar' },
]

/** All percentiles of the reads of one size. */
export function latency(results, size) {
  const file = `latency-${size}.svg`
  const row = rowOf(results, `read-${size}`)
  const title = `Latency of ${size.replace(/^\d+/, '$& ')} reads by percentile`
  if (!row) return { file, title, missing: `it needs the row read-${size}` }
  const marks = PERCENTILES.filter(({ key }) => row.contenders.some((one) => latencyOf(one, key) !== null))
  const entries = row.contenders
    .map((one) => ({ id: one.id, name: one.name, family: familyOf(one), values: marks.map(({ key }) => latencyOf(one, key)) }))
    // A contender that was too slow for a thousand samples has no p99.9.
    .filter(({ values }) => values.length > 0 && values[0] !== null && values[1] !== null)
    .sort((one, other) => one.values[0] - other.values[0])
  if (entries.length === 0) return { file, title, missing: `nobody has percentiles in the row read-${size}` }
  const draw = dots({ entries, marks, axis: 'from the call to its end (logarithmic)' })
  const lead = 'One at a time, target idle, in the order of p50. Further left is better, and a short line is a steady contender.'
  const list = entries.map(({ name, values }) => `${name} ${values.map((value) => (value === null ? 'not known' : duration(value, number))).join(', ')}`)
  return {
    file,
    title,
    alt: `${title}, ${marks.map((mark) => mark.title).join(', ')}: ${list.join('; ')}`,
    svg: card({ title, lead, draw, caption: caption(results, [row], entries.map(({ id }) => id)) }),
  }
}
