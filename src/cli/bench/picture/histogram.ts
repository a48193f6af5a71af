import { durationText } from '../../units.js'
import { boundOf, coarser, PER_DECADE, type Spread } from '../latencies.js'
import { countText, PERCENTILES, type Row } from '../result.js'
import { bar, STYLES, type Look } from './look.js'

const MOST_LINES = 20
const LEAST_CELLS = 4
const FINENESSES = [20, 10, 8, 5, 4, 2, 1]

/** The finest steps with which a picture is not too long. */
export function fitting(spread: Spread, most = MOST_LINES): Spread {
  if (spread.perDecade === PER_DECADE && spread.counts.length > most) {
    for (const fineness of FINENESSES) {
      const fewer = coarser(spread, fineness)
      if (fewer.counts.length <= most) return fewer
    }
    return coarser(spread, 1)
  }
  return spread
}

/** The percentiles that lie in a step, as words. */
function marksOf(row: Row, from: number, to: number): string {
  return PERCENTILES.filter(([, key]) => row[key] !== null && (row[key] as number) >= from && (row[key] as number) < to)
    .map(([name]) => name)
    .join(' ')
}

/** A bar for each step of a row's latencies, as long as there are operations in it. */
export function histogram(row: Row, { columns, ascii, styled }: Look): string[] {
  const spread = fitting(row.histogram)
  const labels = spread.counts.map((_, index) => durationText(boundOf(spread, index) / 1000))
  const counts = spread.counts.map(countText)
  const [names, numbers] = [labels, counts].map((texts) => Math.max(...texts.map(({ length }) => length))) as [number, number]
  const marks = spread.counts.map((_, index) => marksOf(row, boundOf(spread, index), boundOf(spread, index + 1)))
  const cells = Math.max(LEAST_CELLS, columns - names - numbers - Math.max(...marks.map(({ length }) => length)) - 4)
  const most = Math.max(...spread.counts)
  return spread.counts.map((count, index) => {
    const drawn = bar(count / most, cells, ascii)
    const space = ' '.repeat(cells - drawn.length)
    return `${labels[index]?.padStart(names)} ${styled(STYLES[row.op], drawn)}${space} ${counts[index]?.padStart(numbers)}  ${styled('dim', marks[index] as string)}`.trimEnd()
  })
}
