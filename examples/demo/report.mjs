/** What the demo says to people. */
import { number } from '../../bench/support/table.mjs'

const COLUMNS = [
  { title: 'GB/s', key: 'throughput_gbps' },
  { title: 'p50 ms', key: 'p50_ms' },
  { title: 'p99 ms', key: 'p99_ms' },
]
const STATES = [
  { target: 'idle', title: 'target idle' },
  { target: 'busy', title: 'target busy' },
]
const NAME_WIDTH = 20
const WIDTH = 9
const GAP = '    '

export function size(bytes) {
  return bytes < 1 << 20 ? `${bytes} bytes` : `${(bytes / (1 << 20)).toFixed(1)} MiB`
}

/** One line per transport, the target idle on the left and busy on the right. */
export function comparison(rows) {
  const line = (name, groups) => `  ${name.padEnd(NAME_WIDTH)}${groups.join(GAP)}`
  const heads = COLUMNS.map(({ title }) => title.padStart(WIDTH)).join('')
  const transports = [...new Set(rows.map(({ transport }) => transport))]
  const figures = (transport) =>
    STATES.map(({ target }) => {
      const row = find(rows, transport, target)
      return COLUMNS.map(({ key }) => number(row[key]).padStart(WIDTH)).join('')
    })
  return [
    line('', STATES.map(({ title }) => centred(` ${title} `, heads.length))),
    line('', STATES.map(() => heads)),
    ...transports.map((transport) => line(transport, figures(transport))),
  ]
}

/** The measured outcome in a sentence, whatever it is. */
export function conclusion(rows) {
  const ours = find(rows, 'memlane', 'busy').p99_ms
  const theirs = find(rows, 'node:net', 'busy').p99_ms
  const relation = ours < theirs ? `${number(theirs / ours)} times less` : `${number(ours / theirs)} times as much`
  const both = `${number(ours)} ms with memlane and ${number(theirs)} ms with node:net`
  return `While the target's JavaScript is blocked, p99 is ${both}: ${relation}.`
}

function centred(title, width) {
  const rule = '─'.repeat(width - title.length - 2)
  return `  ${rule.slice(0, rule.length >> 1)}${title}${rule.slice(rule.length >> 1)}`
}

function find(rows, transport, target) {
  return rows.find((row) => row.transport === transport && row.target === target)
}
