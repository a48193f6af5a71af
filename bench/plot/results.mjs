/**
 * What a run found, checked and made small: the form that pictures and documents are made of, and that is committed. A file
 * in this form reads as itself again.
 */
import { readFileSync } from 'node:fs'

import { median } from '../stats.mjs'

/** A file that is no result of the bench: shown as its one line. */
export class ResultsError extends Error {}

export function load(path) {
  let text
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ResultsError(`${path} cannot be read: ${error.code}`)
  }
  let json
  try {
    json = JSON.parse(text)
  } catch {
    throw new ResultsError(`${path} is not JSON`)
  }
  try {
    return compact(json)
  } catch (error) {
    if (!(error instanceof ResultsError)) throw error
    throw new ResultsError(`${path} is no result of the bench: ${error.message}`)
  }
}

/**
 * `ratio` of a figure is memlane's divided by it, the median over rounds: all that is still needed of the single rounds. Six
 * digits are kept, so that rounding them to the three that are shown changes nothing.
 */
export function compact(json) {
  const { machine, versions, goals, rows } = expectObject(json, 'it')
  const { date = null, cpu, cores, memory_gib, kernel, arch, placement } = expectObject(machine, 'machine')
  for (const [name, text] of Object.entries({ cpu, kernel, placement })) expectText(text, `machine.${name}`)
  const { memlane, node, rustc, contenders } = expectObject(versions, 'versions')
  for (const [name, text] of Object.entries({ memlane, node })) expectText(text, `versions.${name}`)
  return {
    machine: { date, cpu, cores, memory_gib, kernel, arch, placement },
    versions: { memlane, node, rustc: short(rustc ?? null), contenders: mapValues(contenders ?? {}, short) },
    goals: expectList(goals, 'goals').map(compactGoal),
    rows: expectList(rows, 'rows').map(compactRow),
  }
}

function compactGoal(goal, index) {
  const { id, row, by, value, unit, against, absent = [], unlike = [], ratio, target, met } = expectObject(goal, `goals[${index}]`)
  for (const [name, text] of Object.entries({ id, row, by, unit, target })) expectText(text, `goals[${index}].${name}`)
  if (typeof met !== 'boolean') throw new ResultsError(`goals[${index}].met is neither true nor false`)
  const { name, value: theirs } = expectObject(against, `goals[${index}].against`)
  return { id, row, by, value: rounded(value), unit, against: { name, value: rounded(theirs) }, absent, unlike, ratio: rounded(ratio), target, met }
}

function compactRow(row, index) {
  const where = `rows[${index}]`
  const { id, title, completion, placement, rounds, contenders, ...more } = expectObject(row, where)
  for (const [name, text] of Object.entries({ id, title, completion, placement })) expectText(text, `${where}.${name}`)
  const list = expectList(contenders, `${where}.contenders`)
  const ours = list.find((one) => one?.id === 'memlane')?.figures
  return {
    id,
    title,
    completion,
    placement,
    rounds,
    ...more,
    contenders: list.map((one, at) => compactContender(one, ours, `${where}.contenders[${at}]`)),
  }
}

function compactContender(contender, ours, where) {
  const { id, name, completion, unchecked, absent, figures } = expectObject(contender, where)
  for (const [key, text] of Object.entries({ id, name })) expectText(text, `${where}.${key}`)
  const about = { id, name, ...(completion ? { completion } : {}), ...(unchecked ? { unchecked } : {}) }
  if (absent !== undefined) return { ...about, absent: expectText(absent, `${where}.absent`) }
  expectObject(figures, `${where}.figures`)
  return { ...about, figures: mapValues(figures, (figure, key) => compactFigure(figure, ours?.[key], `${where}.figures.${key}`)) }
}

function compactFigure(figure, ours, where) {
  const { median: middle, lowest, highest, pooled, ratio } = expectObject(figure, where)
  // JSON has no NaN: what could not be measured is null.
  if (middle !== null && typeof middle !== 'number') throw new ResultsError(`${where}.median is no number`)
  const kept = { median: rounded(middle), lowest: rounded(lowest), highest: rounded(highest), ...(pooled ? { pooled: compactPooled(pooled, where) } : {}) }
  const against = figure.rounds === undefined ? ratio : ratioOf(ours, figure)
  return Number.isFinite(against) ? { ...kept, ratio: rounded(against) } : kept
}

function compactPooled(pooled, where) {
  const { value, what } = expectObject(pooled, `${where}.pooled`)
  return { value: rounded(value), what: expectText(what, `${where}.pooled.what`) }
}

/** Round by round, as the goals are: two turns of one round saw the same machine. What all rounds have together is no pair. */
function ratioOf(ours, theirs) {
  if (theirs.pooled) return ours?.pooled?.value / theirs.pooled.value
  if (ours?.rounds === undefined) return undefined
  return median(ours.rounds.map((value, round) => value / theirs.rounds[round]))
}

function expectObject(value, what) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ResultsError(`${what} is no object`)
  return value
}

function expectList(value, what) {
  if (!Array.isArray(value)) throw new ResultsError(`${what} is no list`)
  return value
}

function expectText(value, what) {
  if (typeof value !== 'string') throw new ResultsError(`${what} is no text`)
  return value
}

const mapValues = (object, change) => Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]))

const rounded = (value) => (Number.isFinite(value) ? Number(value.toPrecision(6)) : null)

/** Without a compiler's hash and date. */
const short = (version) => version?.replace(/ \([0-9a-f]+ \d{4}-\d\d-\d\d\)$/, '') ?? null

/** JSON with a line for each contender: small, and a new run differs in whole lines. */
export function format({ machine, versions, goals, rows }) {
  const lines = (list, indent) => list.map((one) => `\n${indent}${JSON.stringify(one)}`).join(',')
  const row = ({ contenders, ...about }) => {
    return `\n    ${JSON.stringify(about).slice(0, -1)},"contenders":[${lines(contenders, '      ')}\n    ]}`
  }
  return `{
  "machine": ${JSON.stringify(machine)},
  "versions": ${JSON.stringify(versions)},
  "goals": [${lines(goals, '    ')}
  ],
  "rows": [${rows.map(row).join(',')}
  ]
}
`
}
