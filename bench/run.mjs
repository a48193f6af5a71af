/** `npm run bench`: measures memlane beside its peers and says which goals are met. */
import { writeFileSync } from 'node:fs'

import { GOAL_IDS, GOALS, judge, leftOut, rowsOf } from './goals.mjs'
import { Growth } from './growth/session.mjs'
import { machine, versions } from './machine.mjs'
import { goalLine, leftOutLine, show } from './report.mjs'
import { rows } from './rows.mjs'
import { Session } from './session.mjs'
import { commandLine, wholeNumber } from './support/command-line.mjs'
import { liveLine } from './support/live.mjs'
import { placement } from './support/spawn.mjs'

const ROW_IDS = rows(1).map(({ id }) => id)
const CONTENDERS = [...new Set(rows(1).flatMap(({ contenders }) => contenders))]
const BASES = [...new Set(CONTENDERS.map(baseOf))]

const HELP = `npm run bench -- [options]: everything, some 40 minutes on two cores

  --quick            shorter looks, 5 rounds: under eight minutes
  --only NAME,...    these goals and rows alone
                     goals: ${GOAL_IDS.join(', ')}
                     rows: ${ROW_IDS.join(', ')}
  --contenders A,... these contenders alone: ${BASES.join(', ')};
                     variants, as memlane:4 or memlane:nice, come with theirs, and have no names here
  --rounds N         how often every contender takes its turn (7; 5 with --quick), 1 to 1000
  --json FILE        everything measured, as JSON
  --goals            exit with status 1 when a goal is missed
  --help             this text
`

const options = commandLine('bench', {
  quick: { type: 'boolean', default: false },
  only: { type: 'string' },
  contenders: { type: 'string' },
  rounds: { type: 'string' },
  json: { type: 'string' },
  goals: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
})
if (options.help) process.stdout.write(HELP)
else process.exitCode = await main(options)

async function main({ quick, only, contenders, rounds: wanted, json, goals: strict }) {
  const rounds = wanted === undefined ? (quick ? 5 : 7) : wholeNumber('bench', 'rounds', wanted, 1, 1000)
  const { chosen, lines } = choose(rows(quick ? 0.25 : 1), only, contenders, quick)

  const where = placement()
  const about = { machine: machine(where), versions: versions() }
  const session = new Session(where)
  const growth = new Growth(where)
  const live = liveLine()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => interrupted([session, growth], live))

  const { cpu, cores, kernel, load_average: load } = about.machine
  console.log(`${cpu}, ${cores} cores, ${kernel}, Node ${about.versions.node}`)
  console.log(`load average ${load}${load > 1 ? ': other work shares the cores, expect wide ranges' : ''}`)
  console.log(`rounds in turns: ${rounds}; medians, and [lowest to highest]; placement: ${where.text}`)
  const measured = []
  try {
    await session.prepare(chosen.flatMap((row) => row.contenders), (text) => live.show(text))
    const tell = (row, result) => {
      live.clear()
      measured.push(result)
      console.log(`\n${show(row, result, where.text).join('\n')}`)
    }
    for (const row of chosen.filter((one) => !one.growth)) {
      const begun = performance.now()
      const result = await session.measure(row, Math.min(rounds, row.rounds ?? rounds), (text) => live.show(text))
      tell(row, { ...result, seconds: Math.round(performance.now() - begun) / 1000 })
    }
    const growing = chosen.filter((one) => one.growth)
    const grown = await growth.measure(growing, rounds, (text) => live.show(text))
    growing.forEach((row, at) => tell(row, grown[at]))
  } finally {
    live.clear()
    await Promise.all([session.stop(), growth.stop()])
  }
  const goals = lines.map((goal) => judge(goal, measured)).filter((line) => line !== null)
  const unjudged = lines.map((goal) => leftOut(goal, measured)).filter((line) => line !== null)
  console.log(`\n${[...goals.map(goalLine), ...unjudged.map(leftOutLine)].join('\n')}`)
  const all = { ...about, versions: { ...about.versions, contenders: session.versions }, goals, rows: measured }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(all, null, 2)}\n`)
  return strict && goals.some(({ met }) => !met) ? 1 : 0
}

/** The rows to measure, with those who take part, and the lines of the goals that can be judged by them. */
function choose(all, only, contenders, quick) {
  const names = listed(only, [...GOAL_IDS, ...ROW_IDS], 'goal or row')
  const bases = listed(contenders, BASES, 'contender')
  const wanted = new Set(names?.flatMap((name) => [name, ...GOALS.filter(({ id }) => id === name).flatMap(rowsOf)]) ?? ROW_IDS)
  const chosen = all
    .filter(({ id, full = false }) => wanted.has(id) && (names?.includes(id) || !(quick && full)))
    .map((row) => ({ ...row, contenders: row.contenders.filter((id) => bases?.includes(baseOf(id)) ?? true) }))
  const there = (goal) => rowsOf(goal).every((row) => chosen.some(({ id }) => id === row))
  // A goal that was not asked for is judged where its rows were, each by its own name.
  const asked = (goal) => names?.includes(goal.id) || rowsOf(goal).every((row) => names?.includes(row) ?? true)
  return { chosen: chosen.filter((row) => row.contenders.length > 0), lines: GOALS.filter((goal) => there(goal) && asked(goal)) }
}

function baseOf(contender) {
  return contender.split(':')[0]
}

/** The names of an option, or null where it is not given. */
function listed(option, known, what) {
  if (option === undefined) return null
  const names = option.split(',')
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) fail(`no ${what} is called ${unknown}; there are ${known.join(', ')}`)
  return names
}

function fail(message) {
  console.error(`bench: ${message}`)
  process.exit(2)
}

async function interrupted(sessions, live) {
  live.clear()
  await Promise.all(sessions.map((session) => session.stop()))
  process.exit(130)
}
