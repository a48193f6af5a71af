/** What the demo says to people. */
import { three } from '../units.js'
import type { Row } from './compare.js'

const COLUMNS = [
  ['GB/s', 'throughput_gbps'],
  ['p50 ms', 'p50_ms'],
  ['p99 ms', 'p99_ms'],
] as const
const STATES = [
  ['idle', 'target idle'],
  ['busy', 'target busy'],
] as const
const NAME_WIDTH = 20
const WIDTH = 9
const GAP = '    '

/** One line per transport, the target idle on the left and busy on the right; below each other where the screen is narrow. */
export function comparison(rows: readonly Row[], columns: number): string[] {
  const [whole, halves] = [lines(rows, STATES), STATES.map((state) => lines(rows, [state]))]
  return whole.every(({ length }) => length <= columns) ? whole : [...(halves[0] as string[]), '', ...(halves[1] as string[])]
}

function lines(rows: readonly Row[], states: readonly (typeof STATES)[number][]): string[] {
  const line = (name: string, groups: readonly string[]): string => `  ${name.padEnd(NAME_WIDTH)}${groups.join(GAP)}`
  const heads = COLUMNS.map(([title]) => title.padStart(WIDTH)).join('')
  const figures = (transport: string): string[] =>
    states.map(([target]) => COLUMNS.map(([, key]) => number(rowOf(rows, transport, target)[key]).padStart(WIDTH)).join(''))
  return [
    line('', states.map(([, title]) => centred(` ${title} `, heads.length))),
    line('', states.map(() => heads)),
    ...[...new Set(rows.map(({ transport }) => transport))].map((transport) => line(transport, figures(transport))),
  ]
}

/** The measured outcome in a sentence, whatever it is. */
export function conclusion(rows: readonly Row[]): string {
  const ours = rowOf(rows, 'memlane', 'busy').p99_ms
  const theirs = rowOf(rows, 'node:net', 'busy').p99_ms
  const relation = ours < theirs ? `${number(theirs / ours)} times less` : `${number(ours / theirs)} times as much`
  return `While the target's JavaScript is blocked, p99 is ${number(ours)} ms with memlane and ${number(theirs)} ms with node:net: ${relation}.`
}

const number = (value: number): string => (value < 1 ? value.toFixed(3) : three(value))

function centred(title: string, width: number): string {
  const rule = '─'.repeat(width - title.length - 2)
  return `  ${rule.slice(0, rule.length >> 1)}${title}${rule.slice(rule.length >> 1)}`
}

function rowOf(rows: readonly Row[], transport: string, target: Row['target']): Row {
  return rows.find((row) => row.transport === transport && row.target === target) as Row
}
