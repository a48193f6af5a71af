/** Lines of a table: the first column to the left, figures to the right, a rule below the head. */
export function table(head, rows, { indent = '  ', left = 1 } = {}) {
  const widths = head.map((title, column) => Math.max(...[head, ...rows].map((cells) => cells[column].length)))
  const fit = (cell, width, column) => (column < left ? cell.padEnd(width) : cell.padStart(width))
  const row = (cells) => widths.map((width, column) => fit(cells[column], width, column)).join('   ')
  const line = (cells) => `${indent}${row(cells)}`.trimEnd()
  return [line(head), indent + '─'.repeat(widths.reduce((sum, width) => sum + width + 3, -3)), ...rows.map(line)]
}

/** Three significant digits, without an exponent: 0.123, 1.23, 12.3, 123, 1,230,000. */
export function number(value) {
  if (!Number.isFinite(value)) return '–'
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  if (digits > 0) return value.toFixed(Math.min(digits, 3))
  return Math.round(value).toLocaleString('en-US')
}
