import { table } from '../bench/support/table.mjs'

/** Counts of all processes: by kind and result one number a process. */
function countsOf(summaries) {
  const rows = new Map()
  for (const [process, { counts }] of summaries.entries()) {
    for (const [kind, results] of Object.entries(counts)) {
      for (const [result, count] of Object.entries(results)) {
        const key = `${kind}\0${result}`
        if (!rows.has(key)) rows.set(key, { kind, result, counts: summaries.map(() => 0) })
        rows.get(key).counts[process] += count
      }
    }
  }
  return [...rows.values()].sort((one, other) => one.kind.localeCompare(other.kind) || (one.result === 'ok' ? -1 : other.result === 'ok' ? 1 : 0))
}

/** The table of operations, as lines. */
export function operationsTable(summaries) {
  const head = ['operation', 'result', ...summaries.map((_, process) => `p${process}`), 'total']
  const rows = countsOf(summaries).map(({ kind, result, counts }) => [kind, result, ...[...counts, sum(counts)].map(String)])
  return table(head, rows, { left: 2 })
}

/** The table of what the processes had of the system, as lines. */
export function healthTable(reports) {
  const head = ['process', 'sockets', 'threads', 'held MiB', 'resident MiB']
  const rows = reports.map(({ health: { before, after } }, process) => [
    `p${process}`,
    ...['sockets', 'threads', 'held', 'resident'].map((key) => `${before[key]} → ${after[key]}`),
  ])
  return table(head, rows)
}

/** How many operations there were, and how many of them ended with a value. */
export function totals(summaries) {
  const rows = countsOf(summaries)
  return { operations: sum(rows.flatMap(({ counts }) => counts)), ok: sum(rows.filter(({ result }) => result === 'ok').flatMap(({ counts }) => counts)) }
}

export function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0)
}
