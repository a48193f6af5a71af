import { versionsOf } from './contenders.mjs'
import { isThere } from './figures.mjs'

/** What every caption says: the machine, the run, who took part and who did not. */
export function caption(results, rows, shown) {
  const { cpu, cores, kernel, date } = results.machine
  const { node, memlane } = results.versions
  const names = new Map(rows.flatMap(({ contenders }) => contenders.map(({ id, name }) => [id, name])))
  const others = versionsOf(shown, results, (base) => names.get(base) ?? base)
  const absent = rows.flatMap(({ contenders }) => contenders.filter((one) => !isThere(one)).map(({ name, absent: why }) => `${name} (${why})`))
  const [{ id, placement, rounds }] = rows
  const where = `${id.startsWith('road-') ? '' : 'loopback, '}${placement.replace(/ \(.*\)$/, '')}`
  return [
    `${cpu}, ${cores} cores, ${kernel}; ${where}; medians of ${rounds} rounds in turns${date ? `; ${date}` : ''}.`,
    `memlane ${memlane}, Node ${node}${others.length ? `, ${others.join(', ')}` : ''}.`,
    ...(absent.length ? [`Absent from this run: ${[...new Set(absent)].join(', ')}.`] : []),
  ]
}

