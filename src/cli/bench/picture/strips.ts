import { boundOf, type Spread } from '../latencies.js'
import type { Row } from '../result.js'
import { tickText, ticksBetween } from '../ticks.js'
import { height, STYLES, type Look } from './look.js'
import { nameOf } from './table.js'

const LEAST_CELLS = 10

/** How much of each of `cells` a spread fills, over an axis that is logarithmic from `low` to `high` µs. */
export function cellsOf(spread: Spread, low: number, high: number, cells: number): number[] {
  const filled = Array.from({ length: cells }, () => 0)
  const [from, to] = [Math.log(low), Math.log(high)]
  const at = (us: number): number => ((Math.log(us) - from) / (to - from)) * cells
  spread.counts.forEach((count, index) => {
    if (count === 0) return
    const [start, end] = [at(boundOf(spread, index)), at(boundOf(spread, index + 1))]
    // A step may be wider than a cell, or narrower: each cell has the part of it that it covers.
    for (let cell = Math.max(0, Math.floor(start)); cell < Math.min(cells, end); cell++) {
      filled[cell]! += (count * (Math.min(end, cell + 1) - Math.max(start, cell))) / (end - start)
    }
  })
  return filled
}

/** Where an axis has its labels: at 1, 2 and 5 of each power of ten, or fewer where they would not fit beside each other. */
function axis(low: number, high: number, cells: number): string {
  const at = (us: number): number => Math.floor((Math.log(us / low) / Math.log(high / low)) * cells)
  const draw = (digits: readonly number[]): [string, number] => {
    let line = ''
    let missing = 0
    for (const us of ticksBetween(low, high, digits)) {
      const label = `|${tickText(us)}`
      const place = at(us)
      if (place < line.length + (line === '' ? 0 : 1) || place + label.length > cells) missing++
      else line = line.padEnd(place) + label
    }
    return [line, missing]
  }
  const [fine, crowded] = draw([1, 2, 5])
  return crowded <= 1 || ticksBetween(low, high, [1]).length < 2 ? fine : draw([1])[0]
}

/** A line for each row: how many of its operations took how long, high where most did, over an axis that all of them have. */
export function strips(rows: readonly Row[], { columns, ascii, styled }: Look): string[] {
  const names = Math.max(...rows.map((row) => nameOf(row).length))
  const cells = Math.max(LEAST_CELLS, columns - names - 1)
  const low = Math.min(...rows.map(({ histogram }) => boundOf(histogram, 0)))
  const high = Math.max(...rows.map(({ histogram }) => boundOf(histogram, histogram.counts.length)))
  const lines = rows.map((row) => {
    const filled = cellsOf(row.histogram, low, high, cells)
    const most = Math.max(...filled)
    return `${nameOf(row).padEnd(names)} ${styled(STYLES[row.op], filled.map((one) => height(one / most, ascii)).join('').trimEnd())}`
  })
  return [...lines, styled('dim', `${' '.repeat(names + 1)}${axis(low, high, cells)}`)]
}
