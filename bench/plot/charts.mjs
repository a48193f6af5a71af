/**
 * Which pictures there are. Each is made of the rows of a run by itself: `{ file, title, alt, svg }`, or `{ file, title, missing }`
 * with the reason where a row that it needs is not there.
 */
import { number } from '../support/table.mjs'
import { baseOf, familyOf, versionsOf } from './contenders.mjs'
import { dots } from './dots.mjs'
import { bytesText, duration, isThere, latencyOf, medianOf, sizeOf } from './figures.mjs'
import { lines } from './lines.mjs'
import { card } from './svg.mjs'

export function charts(results) {
  return [
    idleBusy(results),
    ...['read', 'write'].map((op) => throughput(results, op)),
    ...['64B', '64KiB', '1MiB'].map((size) => latency(results, size)),
  ]
}

const rowOf = ({ rows }, id) => rows.find((row) => row.id === id)

/** What every caption says: the machine, the run, who took part and who did not. */
export function caption(results, rows, shown) {
  const { cpu, cores, kernel, date } = results.machine
  const { node, memlane } = results.versions
  const names = new Map(rows.flatMap(({ contenders }) => contenders.map(({ id, name }) => [id, name])))
  const others = versionsOf(shown, results, (base) => names.get(base) ?? base)
  const absent = rows.flatMap(({ contenders }) => contenders.filter((one) => !isThere(one)).map(({ name, absent: why }) => `${name} (${why})`))
  const [{ placement, rounds }] = rows
  return [
    `${cpu}, ${cores} cores, ${kernel}; loopback, ${placement}; medians of ${rounds} rounds in turns${date ? `; ${date}` : ''}.`,
    `memlane ${memlane}, Node ${node}${others.length ? `, ${others.join(', ')}` : ''}.`,
    ...(absent.length ? [`Absent from this run: ${[...new Set(absent)].join(', ')}.`] : []),
  ]
}

function idleBusy(results) {
  const file = 'idle-busy.svg'
  const title = 'Reads from a process whose own code is busy'
  const [idle, busy] = ['read-1MiB', 'busy-1MiB'].map((id) => rowOf(results, id))
  if (!idle || !busy) return { file, title, missing: 'it needs the rows read-1MiB and busy-1MiB' }
  const entries = busy.contenders
    .map((one) => {
      const values = [idle.contenders.find(({ id }) => id === one.id), one].map((side) => latencyOf(side, 'p99'))
      return { id: one.id, name: one.name, family: familyOf(one), values }
    })
    .filter(({ values }) => values.every((value) => value !== null))
    .map((entry) => ({ ...entry, aside: `${number(entry.values[1] / entry.values[0])} ×` }))
    .sort((one, other) => one.values[1] - other.values[1])
  if (entries.length === 0) return { file, title, missing: 'nobody has a p99 in both rows' }
  const draw = dots({
    entries,
    marks: [{ title: 'target idle', hollow: true }, { title: 'target busy' }],
    axis: 'p99 of 1 MiB reads, one at a time (logarithmic)',
    asideTitle: 'busy ÷ idle',
    reference: { value: BUSY_US, title: 'as long as the target is busy at a time' },
  })
  const lead = `p99 of 1 MiB reads from an idle process, and from one whose JavaScript or Python is busy for 300 ms of every 310. Further left is better.`
  const list = entries.map(({ name, values: [one, other] }) => `${name} ${duration(one, number)} and ${duration(other, number)}`)
  return {
    file,
    title,
    alt: `p99 of 1 MiB reads, target idle and busy: ${list.join('; ')}`,
    svg: card({ title, lead, draw, caption: caption(results, [busy, idle], entries.map(({ id }) => id)) }),
  }
}

/** How long the bench keeps a busy target busy at a time. */
const BUSY_US = 300_000

/** GB/s of a row, by its operations where it has no other figure. */
function rateOf(contender, bytes) {
  const ops = medianOf(contender, 'ops')
  return medianOf(contender, 'gbps') ?? (ops === null ? null : (ops * bytes) / 1e9)
}

function throughput(results, op) {
  const file = `throughput-${op}.svg`
  const title = `Throughput of ${op}s by size`
  const sized = results.rows
    .map((row) => ({ row, size: sizeOf(row) }))
    .filter(({ row, size }) => size?.op === op && size.rest === '' && row.contenders.some((one) => rateOf(one, size.bytes) !== null))
    .sort((one, other) => one.size.bytes - other.size.bytes)
  if (sized.length < 2) return { file, title, missing: `it needs rows ${op}-SIZE with GB/s, of two sizes at least` }
  const rows = sized.map(({ row }) => row)
  const all = curvesOf(sized.map(({ row, size }) => ({ row, at: size.bytes })), (one, at) => rateOf(one, at))
  // A variant that was measured at one size only would be a mark among the ends of all curves.
  const curves = all.filter(({ id, points }) => points.length > 1 || baseOf(id) === id)
  const draw = lines({
    curves,
    x: { title: `bytes of one ${op}, one at a time`, text: bytesText, stops: sized.map(({ size }) => size.bytes) },
    y: { title: 'GB/s (logarithmic)', text: String },
  })
  const unlike = rows.flatMap(({ contenders }) => contenders.filter(({ completion }) => completion).map(({ name }) => name))
  const lead = `Further up is better; behind each name is its figure at the right end of its curve.${unlike.length ? ` Dotted: a ${op} is complete otherwise than in the rest (the rows say when).` : ''}`
  const list = curves.map(({ name, points }) => `${name} ${number(points.at(-1)[1])} GB/s at ${bytesText(points.at(-1)[0])}`)
  return {
    file,
    title,
    alt: `${title}: ${list.join('; ')}`,
    svg: card({ title, lead, draw, caption: caption(results, rows, curves.map(({ id }) => id)) }),
  }
}

/** One curve a contender over `{ row, at }`; variants are dashed, and what completes otherwise is dotted. */
function curvesOf(sized, valueOf) {
  const curves = new Map()
  for (const { row, at } of sized) {
    for (const one of row.contenders) {
      const value = valueOf(one, at)
      if (value === null || value <= 0) continue
      const dash = one.completion ? 'dots' : baseOf(one.id) === one.id ? undefined : 'dash'
      const curve = curves.get(one.id) ?? { id: one.id, name: one.name, family: familyOf(one), dash, points: [] }
      curves.set(one.id, { ...curve, points: [...curve.points, [at, value]] })
    }
  }
  return [...curves.values()]
}

function latency(results, size) {
  const file = `latency-${size}.svg`
  const row = rowOf(results, `read-${size}`)
  const words = size.replace(/^(\d+)/, '$1 ')
  const title = `Latency of ${words} reads by percentile`
  if (!row) return { file, title, missing: `it needs the row read-${size}` }
  const percentiles = [['p50', 'p50'], ['p99', 'p99'], ['p999', 'p99.9']].filter(([key]) => row.contenders.some((one) => latencyOf(one, key) !== null))
  const entries = row.contenders
    .map((one) => ({ id: one.id, name: one.name, family: familyOf(one), values: percentiles.map(([key]) => latencyOf(one, key)) }))
    .filter(({ values }) => values.length > 0 && values.every((value) => value !== null))
    .sort((one, other) => one.values[0] - other.values[0])
  if (entries.length === 0) return { file, title, missing: `nobody has percentiles in the row read-${size}` }
  const looks = { p50: { hollow: true }, p99: {}, p999: { shape: 'bar' } }
  const marks = percentiles.map(([key, name]) => ({ title: name, ...looks[key] }))
  const draw = dots({ entries, marks, axis: `microseconds from the call to its end, one at a time (logarithmic)` })
  const lead = `One at a time, target idle; in the order of p50. Further left is better, and a short line is a steady contender.`
  const list = entries.map(({ name, values }) => `${name} ${values.map((value) => duration(value, number)).join(', ')}`)
  return {
    file,
    title,
    alt: `${title}, ${percentiles.map(([, name]) => name).join(', ')}: ${list.join('; ')}`,
    svg: card({ title, lead, draw, caption: caption(results, [row], entries.map(({ id }) => id)) }),
  }
}
