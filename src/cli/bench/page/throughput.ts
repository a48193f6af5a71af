import { rateText } from '../../units.js'
import { countText, sizeName, type Row } from '../result.js'
import { element, hover, line, linear, svg, text, widthOf } from './svg.js'

const BAR = 16
const GAP = 12
const HEAD = 6
const AXIS = 24

/** Round steps from zero to what is not less than `highest`. */
export function stepsTo(highest: number): number[] {
  const rough = highest / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 2.5, 5, 10].find((one) => one * power >= rough) as number) * power
  return Array.from({ length: Math.ceil(highest / step - 1e-9) + 1 }, (_, index) => Number((index * step).toPrecision(6)))
}

/** A bar for each row, as long as its throughput, the rows of a size beside each other. */
export function throughput(rows: readonly Row[], width: number): string {
  const sizes = [...new Set(rows.map(({ bytes }) => bytes))]
  const rateOf = (row: Row): string => rateText(row.gbps * 1e9)
  const left = Math.max(...sizes.map((size) => widthOf(sizeName(size)))) + 12
  const right = width - Math.max(...rows.map((row) => widthOf(rateOf(row)))) - 10
  const steps = stepsTo(Math.max(...rows.map(({ gbps }) => gbps)))
  const at = linear(0, steps.at(-1) as number, left, right)
  const parts: string[] = []
  let y = HEAD
  for (const size of sizes) {
    const group = rows.filter(({ bytes }) => bytes === size)
    parts.push(text(left - 10, y + (group.length * BAR) / 2 + 4, sizeName(size), { 'text-anchor': 'end' }))
    for (const row of group) {
      const title = `${row.op} ${sizeName(size)}: ${rateOf(row)}, ${countText(row.ops)} operations/s`
      parts.push(
        element('g', {}, hover(title) + element('rect', { x: left, y: y + 1, width: Math.max(1, at(row.gbps) - left), height: BAR - 2, rx: 2, class: row.op }) + text(at(row.gbps) + 6, y + BAR - 4, rateOf(row), { class: 'muted' }))
      )
      y += BAR
    }
    y += GAP
  }
  const bottom = y - GAP + 6
  const fewer = width < 500 ? steps.filter((_, index) => index % 2 === 0) : steps
  const axis = fewer.flatMap((step) => [line(at(step), HEAD, at(step), bottom, 'grid'), text(at(step), bottom + 16, String(step), { 'text-anchor': 'middle', class: 'muted small' })])
  return svg(width, bottom + AXIS + 14, 'Throughput by size', [...axis, ...parts, text((left + right) / 2, bottom + 34, 'GB/s', { 'text-anchor': 'middle', class: 'muted small' })])
}
