/** What a run prints: a table for each row, a line for each goal. */
import { number, table } from './support/table.mjs'

/** The lines of one measured row. */
export function show(row, { contenders, placement }, usual) {
  const head = ['', ...row.figures.flatMap(({ title }) => [title, ''])]
  const there = contenders.filter(({ absent }) => absent === undefined)
  const lines = there.map(({ name, figures }) => [name, ...row.figures.flatMap((figure) => cells(figure, figures))])
  return [
    `${row.id}: ${row.title}${placement === usual ? '' : `; ${placement}`}`,
    `complete when ${row.completion}`,
    ...table(head, lines),
    ...there.filter(({ completion }) => completion).map((one) => `  ${one.name}, otherwise: ${one.completion}`),
    ...contenders.filter(({ absent }) => absent !== undefined).map(({ name, absent }) => `  ${name} is absent: ${absent}`),
  ]
}

function cells({ key, text }, figures) {
  const { median, lowest, highest, pooled } = figures[key]
  if (text !== null) return [text(lowest), '']
  if (pooled) return [number(pooled.value), `[${pooled.what}]`]
  return [number(median), lowest === highest || Number.isNaN(median) ? '' : `[${number(lowest)} to ${number(highest)}]`]
}

/** A goal that nothing can be said of, in one line. */
export function leftOutLine({ id, row, target, bases }) {
  return `${id} not judged: ${bases.join(', ')} ${bases.length === 1 ? 'was' : 'were'} left out (${row}; goal: ${target})`
}

/** One goal in one line. */
export function goalLine({ id, row, by, value, unit, against, absent, unlike, ratio, target, met }) {
  const ours = value === null ? `${by} absent` : `${by} ${number(value)} ${unit}`
  const theirs = against.value === null ? `${against.name} absent` : `${against.name} ${number(against.value)}`
  const missing = against.value === null || absent.length === 0 ? '' : `; absent: ${absent.join(', ')}`
  const others = unlike.length === 0 ? '' : `; not compared, as complete otherwise: ${unlike.join(', ')}`
  const verdict = met ? 'met   ' : 'MISSED'
  const compared = `${ours}, ${theirs}, ratio ${number(ratio ?? Number.NaN)}`
  return `${id.padEnd(12)}${verdict}  ${row.padEnd(18)}  ${compared}; goal: ${target}${missing}${others}`
}
