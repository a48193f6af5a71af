import { durationText } from '../../units.js'
import { boundOf, coarser } from '../latencies.js'
import { countText, sizeName, type Row } from '../result.js'
import { tickText } from '../ticks.js'
import { element, hover, line, logarithmic, svg, text, widthOf, type Scale } from './svg.js'
import { fittingTicks } from './axis.js'

const HIGH = 34
const GAP = 8
const HEAD = 4
const PER_DECADE = 20

/** The latencies of each row as bars over an axis that all have: as high as there are operations in a step, the most the highest. */
export function spreads(rows: readonly Row[], width: number): string {
  const left = Math.max(...rows.map((row) => widthOf(nameOf(row)))) + 12
  const low = Math.min(...rows.map(({ histogram }) => boundOf(histogram, 0)))
  const high = Math.max(...rows.map(({ histogram }) => boundOf(histogram, histogram.counts.length)))
  const at = logarithmic(low, high, left, width - 8)
  const bottom = HEAD + rows.length * (HIGH + GAP)
  const ticks = fittingTicks(low, high, at).flatMap((us) => [
    line(at(us), HEAD, at(us), bottom, 'grid'),
    text(at(us), bottom + 16, tickText(us), { 'text-anchor': 'middle', class: 'muted small' }),
  ])
  const drawn = rows.flatMap((row, index) => drawRow(row, at, HEAD + index * (HIGH + GAP) + HIGH, left))
  return svg(width, bottom + 24, 'Latency histograms', [...ticks, ...drawn])
}

const nameOf = ({ op, bytes }: Row): string => `${op} ${sizeName(bytes)}`

function drawRow(row: Row, at: Scale, bottom: number, left: number): string[] {
  const spread = coarser(row.histogram, PER_DECADE)
  const most = Math.max(...spread.counts)
  const bars = spread.counts.flatMap((count, index) => {
    if (count === 0) return []
    const [from, to] = [boundOf(spread, index), boundOf(spread, index + 1)]
    const [x, end] = [Math.max(left, at(from)), at(to)]
    const height = Math.max(1.5, (count / most) * HIGH)
    const title = `${nameOf(row)}: ${countText(count)} of ${countText(row.n)} took ${durationText(from / 1000)} to ${durationText(to / 1000)}`
    return [element('rect', { x, y: bottom - height, width: Math.max(1, end - x - 0.6), height, class: row.op }, hover(title))]
  })
  return [text(left - 10, bottom - 4, nameOf(row), { 'text-anchor': 'end' }), ...bars]
}
