/** A line per case. */

const WIDTHS = [4, 52, 44, 44]

export const HEAD = columns(['row', 'case', 'came back', 'counters'], '  cases       ms   slowest      MiB')

export function rowLine({ row, name, came, counters, cases, ms, slowest, grown, failure }) {
  const moved = Object.entries(counters).map(([counter, count]) => `${counter} ${count}`).join(', ')
  const figures = `${String(cases).padStart(7)} ${ms.toFixed(0).padStart(8)} ${slowest.toFixed(0).padStart(9)} ${(grown / 2 ** 20).toFixed(1).padStart(8)}`
  return columns([row, name, failure === undefined ? came : 'FAILED', moved === '' ? '-' : moved], figures)
}

function columns(cells, rest) {
  return `${cells.map((cell, at) => (cell.length > WIDTHS[at] ? `${cell.slice(0, WIDTHS[at] - 1)}…` : cell.padEnd(WIDTHS[at]))).join(' ')}${rest}`
}
