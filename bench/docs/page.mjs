/** The generated parts of docs/performance.md, by name. Each is a list of lines. */
import { baseOf } from '../plot/contenders.mjs'
import { betterOf, isThere, titleOf } from '../plot/figures.mjs'
import { number } from '../support/table.mjs'
import { beside, better, keysOf, unmeasured } from './compare.mjs'
import { NBSP, howMuch, paragraph, rowLink, table, times } from './markdown.mjs'

export function pageParts(results, charts) {
  return {
    run: run(results),
    goals: goals(results),
    better: betterRows(results),
    charts: pictures(charts),
    rows: results.rows.flatMap((row) => ['', ...rowTable(row, results.machine.placement)]).slice(1),
  }
}

function run({ machine, versions, rows }) {
  const { date, cpu, cores, memory_gib: memory, kernel, arch, placement } = machine
  const rounds = [...new Set(rows.map((row) => row.rounds))].join(' or ')
  const names = new Map(rows.flatMap(({ contenders }) => contenders.map(({ id, name }) => [id, name])))
  const taking = [...new Set([...names.keys()].map(baseOf))].filter((base) => rows.some(({ contenders }) => {
    return contenders.some((one) => baseOf(one.id) === base && isThere(one))
  }))
  const version = (base) => versions.contenders[base] ?? OWN[base]?.(versions) ?? 'not told'
  const missing = absentees(rows)
  return [
    ...paragraph(
      `Run ${date === null ? 'on a day that its file does not tell' : `on ${date}`}: ${cpu}, ${cores} cores, ${memory} GiB, ${arch}, ` +
        `${kernel}; Node ${versions.node}, ${versions.rustc ?? 'no rustc'}. Placement where a row says nothing else: ${placement}. ` +
        `Medians of ${rounds} rounds in turns, lowest and highest in brackets.`
    ),
    '',
    ...table(['contender', 'version'], taking.map((base) => [names.get(base) ?? base, version(base)]), { left: 2 }),
    '',
    ...(missing.length === 0 ? ['Nobody was absent.'] : ['Absent:', '', ...missing.map(({ name, why, where }) => `- **${name}**, in ${where.join(', ')}: ${why}`)]),
  ]
}

/** What comes with something else has its version. */
const OWN = {
  'node-net': ({ node }) => `Node ${node}`,
  ipc: ({ node }) => `Node ${node}`,
  'raw-64k': ({ contenders }) => contenders.raw,
}

function absentees(rows) {
  const found = new Map()
  for (const { id, contenders } of rows) {
    for (const { name, absent: why } of contenders.filter((one) => !isThere(one))) {
      const one = found.get(`${name}: ${why}`) ?? { name, why, where: [] }
      found.set(`${name}: ${why}`, { ...one, where: [...one.where, rowLink(id)] })
    }
  }
  return [...found.values()]
}

function goals({ goals: all }) {
  const met = all.filter((goal) => goal.met).length
  const lines = all.map((goal) => {
    const { id, row, by, value, unit, against, ratio, target, absent, unlike } = goal
    const notes = [
      ...(by === 'memlane' ? [] : [by]),
      ...(absent.length ? [`absent: ${absent.join(', ')}`] : []),
      ...(unlike.length ? [`not compared, as complete otherwise: ${unlike.join(', ')}`] : []),
    ]
    const ours = value === null ? 'not measured' : `${number(value)}${NBSP}${unit}`
    const theirs = against.value === null ? `${against.name}: not measured` : `${against.name}${NBSP}${number(against.value)}`
    return [id, rowLink(row), notes.length ? `${target} (${notes.join('; ')})` : target, goal.met ? 'met' : '**missed**', ours, theirs, number(ratio ?? Number.NaN)]
  })
  return [
    `${met} met, ${all.length - met} missed.`,
    '',
    ...table(['goal', 'row', 'target', '', 'memlane', 'against', 'ratio'], lines, { left: 4 }),
  ]
}

function betterRows({ rows }) {
  const found = better(rows)
  const without = unmeasured(rows).map(({ id }) => rowLink(id))
  const missing = without.length === 0 ? [] : ['', `Rows without memlane, where nothing can be said: ${without.join(', ')}.`]
  if (found.length === 0) return ['Nobody was better than memlane in any row that it was measured in.', ...missing]
  const by = (one) => {
    const notes = [...howMuch(one), ...(one.otherwise ? ['complete otherwise'] : [])]
    return `${one.name} ${number(one.value)} (${notes.join(', ')})`
  }
  const lines = found.map(({ row, key, ours, by: list }) => [rowLink(row.id), titleOf(key), number(ours), list.map(by).join('; ')])
  return [...table(['row', 'figure', 'memlane', 'better, and how many times'], lines, { left: 4 }), ...missing]
}

function pictures(charts) {
  const drawn = charts.filter(({ svg }) => svg !== undefined)
  const missing = charts.filter(({ svg }) => svg === undefined)
  return [
    ...drawn.flatMap(({ file, alt }) => [`![${alt}](performance/${file})`, '']),
    ...(missing.length === 0 ? [] : ['Not drawn, for want of rows in this run:', '', ...missing.map(({ title, missing: why }) => `- ${title}: ${why}`), '']),
  ].slice(0, -1)
}

function rowTable(row, usual) {
  const { id, title, completion, placement, contenders } = row
  const keys = keysOf(row)
  const [first] = keys
  const compared = keys.length > 0 && contenders.some((one) => beside(row, one, first) !== null)
  const there = contenders.filter(isThere)
  const cells = (one) => [
    one.id === 'memlane' ? `**${one.name}**` : one.name,
    ...keys.map((key) => cell(key, one.figures[key])),
    ...(compared ? [timesOf(beside(row, one, first))] : []),
  ]
  const notes = [
    ...there.filter((one) => one.completion).map((one) => `- ${one.name} is complete otherwise: ${one.completion}.`),
    ...there.filter((one) => one.unchecked).map((one) => `- The bytes of ${one.name} cannot be checked.`),
    ...contenders.filter((one) => !isThere(one)).map((one) => `- ${one.name} is absent: ${one.absent}`),
  ]
  return [
    `### \`${id}\``,
    '',
    ...paragraph(`${title[0].toUpperCase()}${title.slice(1)}. Complete when ${completion}.${placement === usual ? '' : ` Placement: ${placement}.`}`),
    '',
    ...(there.length ? table(['', ...keys.map(head), ...(compared ? [`memlane better, by ${titleOf(first)}`] : [])], there.map(cells)) : ['Nobody was measured.']),
    ...(notes.length ? ['', ...notes] : []),
  ]
}

const ARROWS = { higher: ' ↑', lower: ' ↓' }
const head = (key) => `${titleOf(key)}${ARROWS[betterOf(key)] ?? ''}`

function cell(key, { median, lowest, highest, pooled } = {}) {
  if (pooled) return `${number(pooled.value ?? Number.NaN)} [${pooled.what}]`
  if (key === 'there') return lowest === 1 ? 'yes' : 'no'
  if (!Number.isFinite(median)) return '–'
  return lowest === highest ? number(median) : `${number(median)} [${number(lowest)} to ${number(highest)}]`
}

function timesOf(one) {
  if (one === null) return ''
  if (one.otherwise) return 'not compared'
  return one.times < 1 ? `**${times(one.times)}**` : times(one.times)
}
