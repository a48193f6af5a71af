/** A line for each contender with a mark for each of its figures, on a logarithmic axis. */
import { number } from '../support/table.mjs'
import { duration } from './figures.mjs'
import { logScale } from './scale.mjs'
import { MARGIN, WIDTH, element, familyItems, legend, line, mark, text, widthOf } from './svg.mjs'

const STEP = 27
const AXIS = 40
/** What the figure beside the outermost mark needs. */
const LABEL = 62

/**
 * `entries` are `{ name, family, values, aside }`, values in µs in the order of `marks`, null where there is none; `marks` are `{ title, hollow, shape }`.
 * `axis` says what the values are, `asideTitle` what stands at the right end of each line, `reference` is `{ value, title }`.
 */
export function dots({ entries, marks, axis, asideTitle = null, reference = null }) {
  return (top) => {
    const names = Math.max(...entries.map(({ name }) => widthOf(name, 13)))
    const asides = asideTitle === null ? 0 : Math.max(...[asideTitle, ...entries.map(({ aside }) => aside)].map((one) => widthOf(one, 12)))
    const left = MARGIN + names + LABEL
    const right = WIDTH - MARGIN - (asides ? asides + 8 : 0) - LABEL
    const scale = logScale(entries.flatMap(({ values }) => values).filter((value) => value !== null), left, right)
    const high = top + (reference ? 38 : 24)
    const first = high + 22
    const bottom = first + STEP * (entries.length - 1) + 20
    const meaning = legend(marks, MARGIN, top + 2)
    const parts = [
      ...meaning.parts,
      ...legend(familyItems(entries), meaning.end + 24, top + 2).parts,
      ...grid(scale, high, bottom),
      ...(reference ? marked(reference, scale, high, bottom) : []),
      text((left + right) / 2, bottom + 34, axis, { anchor: 'middle', tone: 'muted' }),
    ]
    if (asideTitle) parts.push(text(WIDTH - MARGIN, high - 4, asideTitle, { anchor: 'end', tone: 'muted' }))
    entries.forEach((entry, index) => parts.push(...oneLine(entry, marks, scale, first + STEP * index)))
    return { parts, bottom: bottom + AXIS }
  }
}

function marked({ value, title }, { at }, top, bottom) {
  return [line(at(value), top, at(value), bottom, 'reference'), text(at(value), top - 4, title, { anchor: 'middle', tone: 'muted', size: 11 })]
}

function oneLine({ name, family, values, aside }, marks, { at }, y) {
  const bold = family === 'memlane'
  const order = values.filter((value) => value !== null).sort((one, other) => one - other)
  const [low, high] = [order[0], order.at(-1)]
  const bar = { x: at(low), y: y - 3, width: Math.max(0, at(high) - at(low)), height: 6, rx: 3, class: `f-${family}${bold ? '' : ' faint'}` }
  const label = (value, side) => {
    const x = at(value) + (side === 'end' ? -11 : 11)
    return text(x, y + 4, duration(value, number), { anchor: side, tone: bold ? `f-${family}` : 'ink', bold })
  }
  return [
    text(MARGIN, y + 4, name, { size: 13, bold, tone: bold ? `f-${family}` : 'ink' }),
    element('rect', bar),
    ...values.map((value, index) => (value === null ? '' : mark(at(value), y, family, { size: 5.5, ...marks[index] }))),
    label(low, 'end'),
    label(high, 'start'),
    ...(aside ? [text(WIDTH - MARGIN, y + 4, aside, { anchor: 'end', bold, tone: bold ? `f-${family}` : 'ink' })] : []),
  ]
}

function grid({ at, ticks }, top, bottom) {
  return ticks.flatMap((tick) => [
    line(at(tick), top, at(tick), bottom, 'grid'),
    text(at(tick), bottom + 16, duration(tick, String), { anchor: 'middle', tone: 'muted', size: 11 }),
  ])
}
