/** `npm run bench`: measures memlane beside its peers and says which goals are met. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'

import { rows } from './rows.mjs'
import { judge, Session } from './session.mjs'
import { commandLine } from './support/command-line.mjs'
import { liveLine } from './support/live.mjs'
import { placement } from './support/spawn.mjs'
import { number, table } from './support/table.mjs'

const HELP = `npm run bench -- [options]

  --quick          shorter looks, 5 rounds: under three minutes
  --only ROW,...   these rows alone: ${rows(1).map(({ id }) => id).join(', ')}
  --rounds N       how often every contender takes its turn (7; 5 with --quick)
  --json FILE      everything measured, as JSON
  --goals          exit with status 1 when a goal is missed
  --help           this text
`

const options = commandLine('bench', {
  quick: { type: 'boolean', default: false },
  only: { type: 'string' },
  rounds: { type: 'string' },
  json: { type: 'string' },
  goals: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
})
if (options.help) process.stdout.write(HELP)
else process.exitCode = await main(options)

async function main({ quick, only, rounds: wanted, json, goals: strict }) {
  const chosen = choose(rows(quick ? 0.5 : 1), only)
  const rounds = wanted === undefined ? (quick ? 5 : 7) : Number(wanted)
  if (!Number.isInteger(rounds) || rounds < 1) fail(`--rounds takes a whole number from 1, not ${wanted}`)

  const where = placement()
  const about = { machine: machine(where), versions: versions() }
  const session = new Session(where)
  const live = liveLine()
  process.once('SIGINT', () => interrupted(session, live))
  process.once('SIGTERM', () => interrupted(session, live))

  const { cpu, cores, kernel, load_average: load } = about.machine
  console.log(`${cpu}, ${cores} cores, ${kernel}, Node ${about.versions.node}`)
  console.log(`load average ${load}${load > 1 ? ': other work shares the cores, expect wide ranges' : ''}`)
  console.log(`rounds in turns: ${rounds}; medians, and [lowest to highest]; placement: ${where.text}`)
  const measured = []
  const goals = []
  try {
    for (const row of chosen) {
      const result = await session.measure(row, rounds, (text) => live.show(text))
      live.clear()
      measured.push(result)
      if (row.goal) goals.push(judge(row, result))
      console.log(`\n${row.id}: ${row.title}\n${show(row, result).join('\n')}`)
    }
  } finally {
    live.clear()
    await session.stop()
  }
  console.log(`\n${goals.map(closingLine).join('\n')}`)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ ...about, goals, rows: measured }, null, 2)}\n`)
  return strict && goals.some(({ met }) => !met) ? 1 : 0
}

function choose(all, only) {
  if (only === undefined) return all
  const names = only.split(',')
  const unknown = names.find((name) => !all.some(({ id }) => id === name))
  if (unknown !== undefined) fail(`no row is called ${unknown}; there are ${all.map(({ id }) => id).join(', ')}`)
  return all.filter(({ id }) => names.includes(id))
}

function fail(message) {
  console.error(`bench: ${message}`)
  process.exit(2)
}

async function interrupted(session, live) {
  live.clear()
  await session.stop()
  process.exit(130)
}

function show(row, { contenders }) {
  const head = ['', ...row.figures.flatMap(({ title }) => [title, ''])]
  const lines = contenders
    .filter(({ absent }) => absent === undefined)
    .map(({ name, figures }) => [
      name,
      ...row.figures.flatMap(({ key, text }) => {
        const { median, lowest, highest } = figures[key]
        if (text !== null) return [text(lowest), '']
        return [number(median), lowest === highest ? '' : `[${number(lowest)} to ${number(highest)}]`]
      }),
    ])
  const absent = contenders.filter((one) => one.absent !== undefined)
  return [...table(head, lines), ...absent.map(({ name, absent: reason }) => `  ${name}: absent (${reason})`)]
}

function closingLine({ id, value, unit, against, ratio, target, met }) {
  const ours = value === null ? 'memlane absent' : `memlane ${number(value)} ${unit}`
  const theirs = against.value === null ? `${against.name} absent` : `${against.name} ${number(against.value)}`
  const quotient = number(ratio ?? Number.NaN)
  return `${id.padEnd(16)}${met ? 'met   ' : 'MISSED'}  ${ours}, ${theirs}, ratio ${quotient}; goal: ${target}`
}

function machine({ text }) {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: os.availableParallelism(),
    memory_gib: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    arch: os.arch(),
    load_average: Number(os.loadavg()[0].toFixed(2)),
    placement: text,
  }
}

function versions() {
  const { version } = createRequire(import.meta.url)('../package.json')
  return { memlane: version, node: process.versions.node, v8: process.versions.v8, rustc: rustc() }
}

function rustc() {
  try {
    return execFileSync('rustc', ['--version'], { encoding: 'utf8' }).trim()
  } catch {
    return null
  }
}
