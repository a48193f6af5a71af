import { harmless } from '../../screen.js'
import { sizeText } from '../../units.js'
import { machineText } from '../machine.js'
import { fewestFor } from '../latencies.js'
import { countText, PERCENTILES, sizeName, type Result, type Row } from '../result.js'
import { histogram } from './histogram.js'
import { wrapped } from '../../wrap.js'
import { toAscii } from '../../locale.js'
import type { Look } from './look.js'
import { strips } from './strips.js'
import { table } from './table.js'
import { throughput } from './throughput.js'

/** Who was measured, in words. */
export function targetText({ target: { kind, address, region, region_bytes, wire, busy, checked } }: Result): string {
  const who = kind === 'own' ? `a process of its own at ${address}` : address
  const state = busy ? ', its event loop blocked for 300 ms of every 310' : ''
  return `${who}, region ${harmless(JSON.stringify(region))} of ${sizeText(region_bytes)}, ${wire} wire${state}${checked ? ', every byte checked' : ''}`
}

/** How it was measured, in words. */
export function methodText({ depth, lanes, seconds, warmup_seconds }: Result): string {
  const underWay = depth === 1 ? 'one operation at a time' : `${countText(depth)} operations under way`
  return `${underWay}, ${lanes === 1 ? '1 lane' : `up to ${lanes} lanes`}, ${seconds} s a row after ${Number(warmup_seconds.toPrecision(3))} s of warm-up`
}

/** Which percentiles too few operations are there for, and how many they want. */
export function missingText(rows: readonly Row[]): string | undefined {
  const missing = PERCENTILES.filter(([, key]) => rows.some((row) => row[key] === null))
  if (missing.length === 0) return undefined
  return `–: too few operations for it: ${missing.map(([name, , share]) => `${name} wants ${countText(fewestFor(share))}`).join(', ')}; --seconds N measures longer`
}

/** Why the run ended before its time, and that rows are missing. */
export function endedText({ ended, rows }: Result): string | undefined {
  if (ended === 'complete') return undefined
  if (rows.length === 0) return `${ended} before anything was measured`
  const partial = rows.some(({ complete }) => !complete) ? '; *: the row was not measured to its end' : ''
  return `${ended}: this is what was measured until then${partial}`
}

/** The result as people read it on a terminal. */
export function report(result: Result, look: Look, size: number | undefined): string[] {
  const { rows, machine } = result
  const { columns, styled } = look
  const head = [
    `memlane bench: ${targetText(result)}`,
    machineText(machine),
    `Node ${machine.node}, memlane ${machine.memlane}; processes ${machine.placement}`,
    methodText(result),
  ]
  const lines = [...head.flatMap((line) => wrapped(line, columns)), '']
  if (rows.length > 0) {
    lines.push(...table(rows, look))
    lines.push('', styled('bold', 'Throughput'), ...throughput(rows, look))
    lines.push('', styled('bold', 'Latency (logarithmic)'), ...strips(rows, look))
    for (const row of drawnLarge(rows, size)) {
      lines.push('', styled('bold', `Latency of ${sizeName(row.bytes)} ${row.op}s`), ...histogram(row, look))
    }
  }
  const notes = [missingText(rows), endedText(result)].filter((note) => note !== undefined)
  if (notes.length > 0) lines.push('', ...notes.flatMap((note) => wrapped(note, columns)))
  return look.ascii ? lines.map(toAscii) : lines
}

/** The rows of the size that was asked for, or all where there is one size. */
function drawnLarge(rows: readonly Row[], size: number | undefined): readonly Row[] {
  const only = rows.every(({ bytes }) => bytes === rows[0]?.bytes) ? rows[0]?.bytes : undefined
  return rows.filter(({ bytes }) => bytes === (size ?? only))
}
