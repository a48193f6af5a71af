import { durationText } from '../../units.js'
import { countText, PERCENTILES, sizeName, type Row } from '../result.js'
import { STYLES, type Look } from './look.js'

const GAP = '  '

/** What is left out first where the screen is narrow. */
const LEAST_MISSED = ['operations', 'p90', 'p99.9', 'ops/s', 'max']

/** Microseconds as a table has them; a dash where there were too few operations. */
export function microsecondsText(us: number | null): string {
  return us === null ? '–' : durationText(us / 1000)
}

/** Which row it is: `read 64 B`. */
export function nameOf({ op, bytes }: Pick<Row, 'op' | 'bytes'>): string {
  return `${op.padEnd(5)} ${sizeName(bytes)}`
}

/** A line for each row, below a head. */
export function table(rows: readonly Row[], { columns, styled }: Look): string[] {
  let cells: [head: string, (row: Row) => string][] = [
    ['', nameOf],
    ['operations', ({ n, complete }) => countText(n) + (complete ? '' : '*')],
    ['ops/s', ({ ops }) => (ops >= 100 ? countText(ops) : ops.toPrecision(3))],
    ...PERCENTILES.map(([head, key]): [string, (row: Row) => string] => [head, (row) => microsecondsText(row[key])]),
    ['max', ({ max_us }) => microsecondsText(max_us)],
  ]
  const widths = (): number[] => cells.map(([head, of]) => Math.max(head.length, ...rows.map((row) => of(row).length)))
  const width = (): number => widths().reduce((sum, one) => sum + one + GAP.length, -GAP.length)
  for (const head of LEAST_MISSED) if (width() > columns) cells = cells.filter(([one]) => one !== head)
  const fit = (texts: readonly string[]): string => texts.map((text, index) => (index === 0 ? text.padEnd(widths()[0] as number) : text.padStart(widths()[index] as number))).join(GAP)
  return [styled('dim', fit(cells.map(([head]) => head))), ...rows.map((row) => fit(cells.map(([, of]) => of(row))).replace(row.op, styled(STYLES[row.op], row.op)))]
}
