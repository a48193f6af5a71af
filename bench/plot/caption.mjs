import { versionsOf } from './contenders.mjs'
import { isThere } from './figures.mjs'

/** What every caption says: the machine, the run, who took part and who did not. */
export function caption(results, rows, shown) {
  const { cpu, cores, kernel, date } = results.machine
  const { node, memlane } = results.versions
  const names = new Map(rows.flatMap(({ contenders }) => contenders.map(({ id, name }) => [id, name])))
  const others = versionsOf(shown, results, (base) => names.get(base) ?? base)
  const absent = rows.flatMap(({ contenders }) => contenders.filter((one) => !isThere(one)).map(({ name, absent: why }) => `${name} (${why})`))
  const rounds = [...new Set(rows.map((row) => row.rounds))].join(' or ')
  const where = [...new Set(rows.map(placeOf))].join(', or ')
  return [
    `${cpu}, ${cores} cores, ${kernel}; ${where}; medians of ${rounds} rounds in turns${date ? `; ${date}` : ''}.`,
    `memlane ${memlane}, Node ${node}${others.length ? `, ${others.join(', ')}` : ''}.`,
    ...(absent.length ? [`Absent from this run: ${[...new Set(absent)].join(', ')}.`] : []),
  ]
}

/** The placement of a row without its processor numbers, and without what tells the rows of one picture apart. */
function placeOf({ id, placement }) {
  const text = placement.replaceAll(/ \([^)]*\)/g, '').replace(/[\d.]+ ms of round trip/, 'a road of that round trip')
  return id.startsWith('road-') ? text : `loopback, ${text}`
}
