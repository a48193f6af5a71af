/** `npm run bench:micro`: what one operation of each hot path costs, in time or in instructions. */
import { writeFileSync } from 'node:fs'
import process from 'node:process'

import { SetupError } from '../../scripts/build.mjs'
import { machine, versions } from '../machine.mjs'
import { commandLine } from '../support/command-line.mjs'
import { table } from '../support/table.mjs'
import { TOLERANCE, compare, incomparable, readBaseline, surroundings, writeBaseline } from './baseline.mjs'
import { count } from './counts.mjs'
import { figure, growthLines } from './report.mjs'
import { time } from './times.mjs'

const HELP = `npm run bench:micro -- [options]

                     without one of the next three: the time of an operation of each path
  --instructions     instructions of an operation of each path, beside the baseline; needs valgrind
  --check            the same; exit status 1 when one differs from the baseline by more than ${TOLERANCE * 100} %,
                     3 when they cannot be compared here: no valgrind, or the baseline is another compiler's
  --update           the same, and writes the baseline (bench/micro/instructions.json)
  --only TEXT        the paths whose name has this in it alone; not with --update
  --json FILE        everything measured, as JSON
  --help             this text
`

/** The exit status that says why nothing was compared, so that a script can tell it from a difference. */
const NOT_COMPARED = 3

const options = commandLine('bench:micro', {
  instructions: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  update: { type: 'boolean', default: false },
  only: { type: 'string', default: '' },
  json: { type: 'string' },
  help: { type: 'boolean', default: false },
})
try {
  process.exitCode = main(options)
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(`bench:micro: ${error.message}`)
  process.exitCode = 1
}

function main({ help, instructions, check, update, only, json }) {
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  if (update && (only !== '' || check)) {
    console.error(`bench:micro: --update writes every path, so that it does not go with ${check ? '--check' : '--only'}`)
    return 2
  }
  return instructions || check || update ? byInstructions({ check, update, only, json }) : byTime({ only, json })
}

function byInstructions({ check, update, only, json }) {
  const here = surroundings()
  const baseline = readBaseline()
  const why = incomparable(baseline, here)
  if (check && why !== null) return notCompared(why)
  const counted = count(only)
  if (counted === null) {
    const missing = 'valgrind is not installed; Debian and Ubuntu: `apt-get install valgrind`'
    if (check) return notCompared(missing)
    throw new SetupError(missing)
  }
  const compared = compare(counted, baseline.paths, only)
  console.log(`${here.rustc}, ${here.target}, ${here.libc}, profile ${here.profile}`)
  if (why !== null) console.log(`the differences may not be ours: ${why}`)
  const signed = (difference) => (difference === null ? '–' : `${difference < 0 ? '' : '+'}${(difference * 100).toFixed(1)} %`)
  const rows = compared.map(({ name, value, expected, difference }) => [name, figure(value), figure(expected), signed(difference)])
  console.log(`\n${table(['path', 'instructions', 'baseline', 'difference'], rows).join('\n')}`)
  console.log(`\n${growthLines(new Map(Object.entries(counted)), 'instructions').join('\n')}`)
  if (json !== undefined) writeJson(json, { ...here, paths: compared })
  if (update) {
    writeBaseline(here, counted)
    console.log('\nbench/micro/instructions.json is written: commit it with what changed the counts, and say why in the message')
  }
  return check ? judge(compared) : 0
}

/** Tells every path that is off, and which way; the exit status. */
function judge(compared) {
  const off = compared.filter(({ verdict }) => verdict !== 'same')
  const say = {
    slower: ({ difference }) => `needs ${(difference * 100).toFixed(1)} % more instructions than the baseline`,
    faster: ({ difference }) => `needs ${(-difference * 100).toFixed(1)} % fewer instructions: lower the baseline, so that this stays`,
    new: () => 'is not in the baseline',
    gone: () => 'is in the baseline and nowhere else',
  }
  console.log('')
  for (const one of off) console.log(`${one.verdict.toUpperCase().padEnd(7)} ${one.name} ${say[one.verdict](one)}`)
  if (off.length === 0) console.log(`all ${compared.length} paths are within ${TOLERANCE * 100} % of the baseline`)
  else console.log('where that is meant: `npm run bench:micro -- --update`, and commit bench/micro/instructions.json')
  return off.length === 0 ? 0 : 1
}

function notCompared(why) {
  console.log(`SKIPPED: instructions were not compared: ${why}`)
  return NOT_COMPARED
}

function byTime({ only, json }) {
  const about = { machine: machine({ text: 'wherever the system puts one thread' }), versions: versions() }
  const { cpu, cores, load_average: load } = about.machine
  console.log(`${cpu}, ${cores} cores, ${about.versions.rustc}; load average ${load}${load > 1 ? ': other work shares the cores' : ''}`)
  const measured = time(only)
  const rows = measured.map(({ name, ns, low, high }) => [name, figure(ns), `[${figure(low)} to ${figure(high)}]`])
  console.log(`\n${table(['path', 'ns', '95 % of the estimate'], rows).join('\n')}`)
  console.log(`\n${growthLines(new Map(measured.map(({ name, ns }) => [name, ns])), 'time').join('\n')}`)
  if (json !== undefined) writeJson(json, { ...about, paths: measured })
  return 0
}

function writeJson(file, content) {
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`)
}
