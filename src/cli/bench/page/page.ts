import { rateText } from '../../units.js'
import { machineText } from '../machine.js'
import { endedText, methodText, missingText, targetText } from '../picture/report.js'
import { microsecondsText } from '../picture/table.js'
import { countText, PERCENTILES, sizeName, type Op, type Result, type Row } from '../result.js'
import { percentiles } from './percentiles.js'
import { spreads } from './spreads.js'
import { STYLE } from './style.js'
import { escaped } from './svg.js'
import { throughput } from './throughput.js'

const WIDE = 760
/** What a phone shows without making letters smaller. */
const NARROW = 336

/** The result as one page that needs nothing from anywhere: tables, and pictures whose parts say their figures to a pointer that rests on them. */
export function page(result: Result): string {
  const { rows, date, machine } = result
  const ops = (['read', 'write'] as const).filter((op) => rows.some((row) => row.op === op))
  const ended = endedText(result)
  const missing = missingText(rows)
  const parts = [
    '<h1>memlane bench</h1>',
    `<p class="muted break">${escaped(targetText(result))}</p>`,
    ...(ended === undefined ? [] : [`<p class="warn">${escaped(ended)}</p>`]),
    facts([
      ['Command', `<code>${escaped(result.command)}</code>`],
      ['Machine', escaped(machineText(machine))],
      ['Versions', escaped(`memlane ${machine.memlane}, Node ${machine.node}`)],
      ['Method', escaped(`${methodText(result)}; processes ${machine.placement}`)],
      ['Date', escaped(date.replace('T', ' ').replace(/\..*/, ' UTC'))],
    ]),
    `<div class="scroll">${table(rows)}</div>`,
    ...(missing === undefined ? [] : [`<p class="muted">${escaped(missing)}</p>`]),
    '<h2>Throughput by size</h2>',
    `<p>${ops.map((op) => `<span class="key ${op}">${op}</span>`).join('')}</p>`,
    both((width) => throughput(rows, width)),
    '<h2>Latency by percentile</h2>',
    '<p class="muted">The time that so many of the operations did not exceed; each nine has the same room. The flatter, the steadier.</p>',
    ...ops.flatMap((op) => [`<h3><span class="key ${op}">${heading(op, result)}</span></h3>`, both((width) => percentiles(rows, op, width))]),
    '<h2>Latency histograms</h2>',
    '<p class="muted">How many operations took how long, each row by itself, over a logarithmic axis.</p>',
    both((width) => spreads(rows, width)),
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>memlane bench: ${escaped(result.target.address)}</title>
<style>${STYLE}</style>
</head>
<body>
${parts.join('\n')}
</body>
</html>
`
}

function heading(op: Op, { completion }: Result): string {
  return `${op === 'read' ? 'Reads' : 'Writes'} <span class="muted">until ${escaped(completion[op])}</span>`
}

function both(draw: (width: number) => string): string {
  return `<div class="wide">${draw(WIDE)}</div>\n<div class="narrow">${draw(NARROW)}</div>`
}

function facts(entries: readonly (readonly [string, string])[]): string {
  return `<dl>${entries.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join('\n')}</dl>`
}

function table(rows: readonly Row[]): string {
  const heads = ['', 'size', 'operations', 'ops/s', 'throughput', ...PERCENTILES.map(([name]) => name), 'max']
  const cells = (row: Row): string[] => [
    sizeName(row.bytes),
    countText(row.n) + (row.complete ? '' : '*'),
    row.ops >= 100 ? countText(row.ops) : row.ops.toPrecision(3),
    rateText(row.gbps * 1e9),
    ...PERCENTILES.map(([, key]) => microsecondsText(row[key])),
    microsecondsText(row.max_us),
  ]
  const body = rows.map((row) => `<tr><td class="${row.op}">${row.op}</td>${cells(row).map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`)
  return `<table>\n<thead><tr>${heads.map((head) => `<th>${head}</th>`).join('')}</tr></thead>\n<tbody>\n${body.join('\n')}\n</tbody>\n</table>`
}
