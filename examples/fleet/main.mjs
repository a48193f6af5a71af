/** Three members find each other by their names in Redis. One is killed and started again; the others find it at its new port. */
import { commandLine } from '../../bench/support/command-line.mjs'
import { missingRedis, startRedis } from '../../scripts/redis-server.mjs'
import { run, start } from '../support/processes.mjs'

const HELP = `node examples/fleet/main.mjs [options]

  --redis URL   a Redis that is there (default: a redis-server on the loopback, started for this and ended again)
  --json        the events as a line of JSON each, and nothing else
  --debug       a failure with its stack
  --help        this text
`
const NAMES = ['trainer-0', 'trainer-1', 'trainer-2']
const VICTIM = 'trainer-1'
const PATIENCE_MS = 20_000

const options = commandLine('fleet', {
  redis: { type: 'string' },
  json: { type: 'boolean', default: false },
  debug: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
})
const others = NAMES.filter((name) => name !== VICTIM)
const events = []
let began = performance.now()
let wake = () => {}

if (options.help) process.stdout.write(HELP)
else await run('fleet', main)

async function main() {
  const missing = options.redis === undefined ? missingRedis() : undefined
  if (missing !== undefined) throw new Error(`${missing}; give one by --redis URL`)
  const server = options.redis === undefined ? await startRedis() : undefined
  try {
    process.env.REDIS_URL = options.redis ?? `redis://127.0.0.1:${server.port}`
    await watch()
  } finally {
    await server?.stop()
  }
}

async function watch() {
  began = performance.now()
  const members = new Map(NAMES.map((name) => [name, begin(name)]))
  const pairs = NAMES.flatMap((member) => NAMES.filter((name) => name !== member).map((found) => ({ member, found })))
  await all('that everybody finds everybody', pairs)

  tell({ member: VICTIM, killed: members.get(VICTIM).pid })
  const oldPid = members.get(VICTIM).pid
  members.get(VICTIM).kill('SIGKILL')
  await all('that the others notice', others.map((member) => ({ member, lost: VICTIM })))
  const { pid } = begin(VICTIM)
  if (pid === oldPid) throw new Error('this is no other process')
  await all('that the others find the new process', others.map((member) => ({ member, found: VICTIM, pid })))
  await all('that the new process finds the others', others.map((found) => ({ member: VICTIM, found, by: pid })))
  const noticed = events.filter(({ lost }) => lost !== undefined && lost !== VICTIM)
  if (noticed.length > 0) throw new Error(`${noticed[0].lost} was lost too, and had nothing to do with it`)
}

function begin(name) {
  const child = start(new URL('member.mjs', import.meta.url), name, ...NAMES.filter((other) => other !== name))
  child.on('message', (event) => tell({ ...event, by: child.pid }))
  child.on('exit', (code) => code > 0 && tell({ member: name, ended: code }))
  return child
}

function tell(event) {
  const timed = { ms: Math.round((performance.now() - began) * 10) / 10, ...event }
  events.push(timed)
  wake()
  if (options.json) return console.log(JSON.stringify(timed))
  const { ms, member, by: _, ...rest } = timed
  const words = Object.entries(rest).map(([key, value]) => `${key} ${value}`)
  console.log(`${ms.toFixed(1).padStart(8)} ms  ${member}  ${words.join(', ')}`)
}

/** Waits until each of these events has been told. */
async function all(what, wanted) {
  const isTold = (event) => events.some((told) => Object.entries(event).every(([key, value]) => told[key] === value))
  const late = AbortSignal.timeout(PATIENCE_MS)
  late.addEventListener('abort', () => wake())
  while (!wanted.every(isTold)) {
    const ended = events.find((event) => event.ended !== undefined)
    if (ended !== undefined) throw new Error(`${ended.member} ended with status ${ended.ended}`)
    if (late.aborted) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain ${what}`)
    await new Promise((resolve) => (wake = resolve))
  }
}
