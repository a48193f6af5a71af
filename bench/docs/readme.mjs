/** The generated parts of the README, by name. Each is a list of lines. */
import { familyOf } from '../plot/contenders.mjs'
import { medianOf } from '../plot/figures.mjs'
import { number } from '../support/table.mjs'
import { beside, bestOther, better, keysOf, oursOf } from './compare.mjs'
import { NBSP, anchor, howMuch, paragraph, table, times } from './markdown.mjs'

const PAGE = 'docs/performance.md'

/** What a visitor is shown of all rows: the row, its figure, both in words, and the unit, of so many of the row's. */
const SHOWN = [
  ['busy-1MiB', 'p99_ms', '1 MiB reads, target busy: p99', 'ms'],
  ['read-1MiB', 'p50_us', '1 MiB reads, target idle: p50', 'µs'],
  ['read-64MiB', 'gbps', '64 MiB reads', 'GB/s'],
  ['write-64MiB', 'gbps', '64 MiB writes', 'GB/s'],
  ['read-64MiB', 'cpu_s_per_gb', 'processor time of 64 MiB reads, both sides', 's/GB'],
  ['read-64B', 'p50_us', '64 B reads, one at a time: p50', 'µs'],
  ['read-64B-256', 'ops', '64 B reads, 256 under way', 'M/s', 1e6],
  ['batch-64B', 'ops', '64 B reads in batches of 1,000, as one operation where there is one', 'M/s', 1e6],
  ['small-beside-large', 'p99_us', '4 KiB reads beside a write of 1 GiB: p99 (`node:net` over its one connection)', 'ms', 1e3],
]

export function readmeParts(results, charts) {
  return { picture: picture(charts), table: comparison(results), better: others(results) }
}

function picture(charts) {
  const { file, svg, alt, title, missing } = charts.find((chart) => chart.file === 'idle-busy.svg')
  return [svg === undefined ? `(${title}: not drawn, ${missing}.)` : `[![${alt}](docs/performance/${file})](${PAGE})`]
}

function comparison({ machine, versions, rows }) {
  const shown = SHOWN.map(([id, ...rest]) => [rows.find((row) => row.id === id), ...rest]).filter(([row]) => row !== undefined)
  const lines = shown.map(([row, key, words, unit, scale = 1]) => {
    const of = (id) => row.contenders.find((one) => one.id === id)
    const best = bestOther(row, key, ['node-net'])
    const ours = medianOf(oursOf(row), key)
    return [
      `[${words}](${PAGE}${anchor(row.id)})`,
      ours === null ? 'not measured' : `**${number(ours / scale)}${NBSP}${unit}**`,
      cell(row, of('node-net'), key, scale),
      best === undefined ? '–' : `${best.name} ${cell(row, best, key, scale)}`,
      cell(row, bestMachine(row, key), key, scale),
    ]
  })
  const { cpu, cores, kernel, placement, date } = machine
  return [
    ...table(['', 'memlane', 'node:net', 'best of the others', 'best of the bare sockets'], lines),
    '',
    ...paragraph(
      `In brackets: how many times better memlane is; below 1, in bold, it is worse. –: not in this row. Loopback, ${placement}; ${cpu}, ` +
        `${cores} cores, ${kernel}, Node ${versions.node}, memlane ${versions.memlane}${date === null ? '' : `, ${date}`}; medians of rounds in turns.`
    ),
  ]
}

/** The best of the bare sockets, whichever way they call the system, that completes as the row asks. */
function bestMachine(row, key) {
  const there = row.contenders.filter((one) => familyOf(one) === 'machine' && beside(row, one, key)?.otherwise === false)
  return there.sort((one, other) => beside(row, one, key).times - beside(row, other, key).times)[0] ?? row.contenders.find(({ id }) => id === 'raw')
}

function cell(row, contender, key, scale) {
  if (contender === undefined) return '–'
  if (contender.absent !== undefined) return 'absent'
  const value = number((medianOf(contender, key) ?? Number.NaN) / scale)
  const compared = beside(row, contender, key)
  if (compared === null) return value
  return `${value}${NBSP}(${compared.times < 1 ? `**${times(compared.times)}**` : times(compared.times)})`
}

/** By the first figure of each row, and without the bare sockets, which have a column of their own. */
function others({ rows }) {
  const machines = (row) => row.contenders.filter((one) => familyOf(one) === 'machine').map(({ name }) => name)
  const found = better(rows)
    .filter(({ row, key }) => key === keysOf(row)[0])
    .map(({ row, by }) => ({ row, by: by.filter(({ name, otherwise }) => !otherwise && !machines(row).includes(name)) }))
    .filter(({ by }) => by.length > 0)
  const all = `[every such figure](${PAGE}#where-others-do-better)`
  if (found.length === 0) return [`**Where others do better:** by the main figure of the rows that memlane was measured in, no other transport did; ${all}.`]
  const lines = found.map(({ row, by }) => `- ${row.title}: ${by.map((one) => `${one.name} (${howMuch(one).join(', ')})`).join(', ')}`)
  return [`**Where others do better**, and how many times (${all}, raw sockets too):`, '', ...lines]
}
