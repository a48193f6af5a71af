/** `npm run test:hostile`: every bad input of the threat model, from raw sockets, against a real process. */
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { commandLine } from '../../bench/support/command-line.mjs'

const HELP = `npm run test:hostile -- [options]

  --only ROWS      these rows alone, as B4,B8; P1 is the generator
  --requests N     then so many hostile requests out of the generator, 0 for none (200000)
  --flood          in place of all that: what 10,000 connections from one source cost another client's reads (45 s)
  --seed N         of contents and of the generator (a fresh one, which is printed)
  --json FILE      the rows and figures as JSON
  --exec CMD       runs the processes that have memlane in them under this command (a sanitizer, valgrind)
  --patience N     all deadlines and memory bounds times N, for processes that run under something slow (1)
  --help           this text

A line per case: what was sent, what came back, which counters moved, how long it took, how long the slowest read of another
client took meanwhile, and by how much the target's resident memory was higher at most. Exit code 0: all is well. 1: a case failed. 2: wrong options.
`

const ROWS = [...Array.from({ length: 21 }, (_, index) => `B${index + 1}`), 'P1']

const options = commandLine('test:hostile', {
  only: { type: 'string' },
  requests: { type: 'string', default: '200000' },
  flood: { type: 'boolean', default: false },
  seed: { type: 'string' },
  json: { type: 'string' },
  exec: { type: 'string', default: '' },
  patience: { type: 'string', default: '1' },
  help: { type: 'boolean', default: false },
})
if (options.help) process.stdout.write(HELP)
else await begin()

function whole(name, text, most = Number.MAX_SAFE_INTEGER) {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= 0 && value <= most) return value
  console.error(`test:hostile: --${name} takes a whole number up to ${most}, not ${text}`)
  process.exit(2)
}

async function begin() {
  if (process.platform !== 'linux') return void console.log('skipped: a process looks at its own memory through /proc, which only Linux has')
  process.env.MEMLANE_HOSTILE_PATIENCE = String(Math.max(1, whole('patience', options.patience)))
  const seed = options.seed === undefined ? randomInt(2 ** 32) : whole('seed', options.seed, 2 ** 32 - 1)
  const requests = whole('requests', options.requests)
  const only = options.only?.toUpperCase().split(',').filter(Boolean)
  const unknown = only?.find((row) => !ROWS.includes(row))
  if (unknown !== undefined || only?.length === 0) {
    console.error(`test:hostile: --only takes rows from B1 to B21, and P1, not ${unknown ?? 'nothing'}`)
    process.exit(2)
  }
  const exec = options.exec.split(' ').filter(Boolean)
  if (options.flood) {
    const { flood, floodLines } = await import('./flood.mjs')
    const figures = await flood({ seed, exec })
    console.log(floodLines(figures).join('\n'))
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ seed, figures }, null, 2)}\n`)
    return
  }
  const { play } = await import('./play.mjs')
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))
  process.exitCode = await play({ seed, requests, only, exec, json: options.json })
}
