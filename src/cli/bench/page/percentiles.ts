import { durationText } from '../../units.js'
import { sizeName, type Op, type Row } from '../result.js'
import { tickText, ticksBetween } from '../ticks.js'
import { element, hover, line, linear, logarithmic, spread, svg, text, widthOf } from './svg.js'

const HEAD = 10
const HIGH = 250
const LABEL = 15
const TICKS = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999]

/** Each nine is as wide as the one before: 90 %, 99 %, 99.9 %. */
const nines = (share: number): number => -Math.log10(1 - share)

export const shareText = (share: number): string => `p${Number((share * 100).toFixed(4))}`

/** A curve for each size: the time that a share of the operations did not exceed, from the fastest to the slowest. */
export function percentiles(rows: readonly Row[], op: Op, width: number): string {
  const curves = rows.filter((row) => row.op === op && row.percentiles.length > 0)
  const all = rows.flatMap((row) => row.percentiles)
  const last = Math.max(...all.map(([share]) => share))
  const [low, high] = [Math.min(...all.map(([, us]) => us)), Math.max(...all.map(([, us]) => us))]
  const labels = Math.max(...curves.map(({ bytes }) => widthOf(sizeName(bytes))))
  const [left, right, bottom] = [58, width - labels - 16, HEAD + HIGH]
  const across = linear(0, nines(last), left, right)
  const up = logarithmic(low / 1.15, high * 1.15, bottom, HEAD)
  const across_ = TICKS.filter((share) => share <= last)
  const axes = [
    ...levels(low / 1.15, high * 1.15).flatMap((us) => [line(left, up(us), right, up(us), 'grid'), text(left - 8, up(us) + 4, tickText(us), { 'text-anchor': 'end', class: 'muted small' })]),
    ...across_.flatMap((share) => [
      line(across(nines(share)), HEAD, across(nines(share)), bottom, 'grid'),
      text(across(nines(share)), bottom + 16, shareText(share), { 'text-anchor': 'middle', class: 'muted small' }),
    ]),
  ]
  const places = spread(curves.map((row) => up((row.percentiles.at(-1) as [number, number])[1])), LABEL, bottom)
  const drawn = curves.map((row, index) => curve(row, (share) => across(nines(share)), up, [right + 10, places[index] as number]))
  return svg(width, bottom + 24, `Latency of ${op}s by percentile`, [...axes, ...drawn])
}

/** Few enough that their labels do not touch. */
function levels(low: number, high: number): number[] {
  const fine = ticksBetween(low, high, [1, 2, 5])
  return fine.length <= 12 ? fine : ticksBetween(low, high, [1])
}

function curve({ op, bytes, percentiles: points }: Row, across: (share: number) => number, up: (us: number) => number, [x, y]: [number, number]): string {
  const places = points.map(([share, us]) => [across(share), up(us)] as const)
  const [endX, endY] = places.at(-1) as readonly [number, number]
  const path = places.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`).join('L')
  return element(
    'g',
    { class: `curve ${op}` },
    element('path', { d: `M${path}` }) +
      element('path', { d: `M${endX.toFixed(1)} ${endY.toFixed(1)}L${(x - 3).toFixed(1)} ${y.toFixed(1)}`, class: 'lead' }) +
      points.map(([share, us], index) => element('circle', { cx: places[index]?.[0], cy: places[index]?.[1], r: 4 }, hover(`${op} ${sizeName(bytes)}, ${shareText(share)}: ${durationText(us / 1000)}`))).join('') +
      text(x, y + 4, sizeName(bytes))
  )
}
