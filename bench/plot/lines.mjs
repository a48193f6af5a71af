/** Curves over sizes or counts, named at their right ends. */
import { number } from '../support/table.mjs'
import { linearScale, logScale, spread } from './scale.mjs'
import { MARGIN, WIDTH, element, familyItems, legend, line, mark, text, widthOf } from './svg.mjs'

const LABEL = 15

/**
 * `curves` are `{ name, family, dash, points: [[x, y], …] }`; `x` and `y` are `{ title, text, stops, linear }`, `stops` the only
 * values of an axis. The families are told in a legend when there is more than one.
 */
export function lines({ curves, x, y, height = 410, left = 0, width = WIDTH }) {
  return (top) => {
    const all = curves.flatMap(({ points }) => points)
    const ends = curves.map((one) => ({ ...one, last: one.points.at(-1), label: `${one.name}  ${number(one.points.at(-1)[1])}` }))
    const labels = Math.max(...ends.map(({ label }) => widthOf(label, 12)))
    const from = left + MARGIN + 44
    const to = left + width - MARGIN - labels - 34
    const plain = new Set(curves.map(({ family }) => family)).size === 1
    const high = top + (plain ? 24 : 44)
    const low = high + Math.max(height - 70, LABEL * curves.length)
    const across = logScale(all.map(([at]) => at), from + 10, to - 4, { stops: x.stops })
    const up = y.linear ? linearScale(all.map(([, at]) => at), low, high) : logScale(all.map(([, at]) => at), low, high)
    const place = ([at, value]) => [across.at(at), up.at(value)]
    const parts = [
      ...(plain ? [] : legend(familyItems(curves), left + MARGIN, top + 2).parts),
      text(left + MARGIN, high - 14, y.title, { tone: 'muted' }),
      ...up.ticks.flatMap((tick) => [
        line(from, up.at(tick), to + 4, up.at(tick), 'grid'),
        text(from - 8, up.at(tick) + 4, y.text(tick), { anchor: 'end', tone: 'muted', size: 11 }),
      ]),
      line(from, low, to + 4, low, 'grid'),
      ...across.ticks.map((tick) => text(across.at(tick), low + 18, x.text(tick), { anchor: 'middle', tone: 'muted', size: 11 })),
      text((from + to) / 2, low + 38, x.title, { anchor: 'middle', tone: 'muted' }),
    ]
    const places = spread(ends.map(({ last }) => place(last)[1]), LABEL, high - 4, low + 2)
    // What is to be seen first is drawn last.
    const order = ends.map((end, index) => ({ ...end, at: places[index] })).sort((one, other) => strong(one) - strong(other))
    for (const end of order) parts.push(...curve(end, place, to + 20))
    return { parts, bottom: low + 44 }
  }
}

const strong = ({ family }) => Number(family === 'memlane')

function curve({ family, dash, points, last, label, at, emphasis = family === 'memlane' && !dash }, place, x) {
  const places = points.map(place)
  const [endX, endY] = place(last)
  const bent = `M${[endX + 8, endY, x - 8, at, x - 3, at].map((value) => value.toFixed(1)).join(' ').replace(/^(\S+ \S+) (\S+ \S+) /, '$1L$2L')}`
  return [
    ...(places.length > 1
      ? [element('path', { d: `M${places.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`).join('L')}`, class: `curve s-${family}${emphasis ? ' strong' : ''}${dash ? ` ${dash}` : ''}` })]
      : []),
    element('path', { d: bent, class: `lead s-${family}` }),
    ...places.map(([px, py]) => mark(px, py, family, { size: emphasis ? 5 : 3.8, hollow: Boolean(dash) })),
    text(x, at + 4, label, { tone: `f-${family}`, bold: emphasis }),
  ]
}
