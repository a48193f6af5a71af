import { harmless } from './screen.js'

/** One column: its head, and whether its cells stand to the right, as figures do. */
export interface Column {
  head: string
  right?: boolean
}

/** Lines of a table, two spaces in; what comes from peers cannot move the cursor. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = [columns.map(({ head }) => head), ...rows.map((row) => row.map(harmless))]
  const widths = columns.map((_, index) => cells.reduce((width, row) => Math.max(width, (row[index] as string).length), 0))
  const fitted = (row: readonly string[]): string =>
    row.map((cell, index) => (columns[index]?.right === true ? cell.padStart(widths[index] as number) : cell.padEnd(widths[index] as number))).join('   ')
  return cells.map((row) => `  ${fitted(row)}`.trimEnd())
}
