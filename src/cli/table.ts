import { legible } from './locale.js'
import { harmless } from './screen.js'

/** One column: its head, and whether its cells stand to the right, as figures do. */
export interface Column {
  head: string
  right?: boolean
}

const GAP = '   '
const INDENT = '  '
/** What the first column has at least before others are left out for it. */
const LEAST_FIRST = 16

/** A text that is not longer than `most`, with what begins it and what ends it: names differ at either end. */
function shortened(text: string, most: number): string {
  if (text.length <= most) return text
  const ellipsis = legible('…')
  const kept = Math.max(0, most - ellipsis.length)
  return text.slice(0, Math.ceil(kept / 2)) + ellipsis + text.slice(text.length - (kept >> 1))
}

/**
 * Lines of a table, two spaces in; what comes from peers cannot move the cursor. Where `most` columns of a screen are too few for it,
 * those of `dispensable` are left out, in that order, and then texts of the first are cut.
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { most = Number.POSITIVE_INFINITY, dispensable = [] }: { most?: number; dispensable?: readonly string[] } = {}
): string[] {
  const cells = [columns.map(({ head }) => head), ...rows.map((row) => row.map((cell) => legible(harmless(cell))))]
  const widths = columns.map((_, index) => cells.reduce((width, row) => Math.max(width, (row[index] as string).length), 0))
  let kept = columns.map((_, index) => index)
  const room = (): number => kept.slice(1).reduce((left, index) => left - GAP.length - (widths[index] as number), most - INDENT.length)
  for (const head of dispensable) {
    if (room() < Math.min(widths[0] as number, LEAST_FIRST)) kept = kept.filter((index) => columns[index]?.head !== head)
  }
  const first = Math.max(1, Math.min(widths[0] as number, room()))
  const fitted = (row: readonly string[]): string =>
    kept
      .map((index) => {
        const [cell, width] = index === 0 ? [shortened(row[0] as string, first), first] : [row[index] as string, widths[index] as number]
        return columns[index]?.right === true ? cell.padStart(width) : cell.padEnd(width)
      })
      .join(GAP)
  return cells.map((row) => `${INDENT}${fitted(row)}`.trimEnd())
}
