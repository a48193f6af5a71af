/** `npm run fuzz`: made-up bytes and numbers against what memlane promises of them. */
import { randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { commandLine, wholeNumber } from '../../bench/support/command-line.mjs'
import { table } from '../../bench/support/table.mjs'
import * as engine from './engine.mjs'
import { descriptors, info, keepInfo } from './scripts.mjs'

const ENGINE = ['headers', 'preface', 'session', 'initiator']
const SCRIPTS = { info, descriptors }
const TARGETS = [...ENGINE, ...Object.keys(SCRIPTS)]
/** Without --seconds, of all targets together. */
const QUICK_SECONDS = 20

const HELP = `npm run fuzz -- [options]

                   without --seconds: ${QUICK_SECONDS} s, shared by all targets
  --seconds N      so long for each target
  --target A,B     these targets alone: ${TARGETS.join(', ')}
  --jobs N         so many targets side by side (one a processor)
  --seed N         of info and descriptors, which are JavaScript (a fresh one, which is printed)
  --replay FILE    runs one input of the --target that is named, and nothing else
  --keep           makes the committed corpus the fewest inputs that reach all that it and what was found in build/fuzz
                   reach; to that of info it only adds
  --json FILE      the report as JSON
  --help           this text

Exit status 0: nothing was found. 1: something was; the command that replays it is printed. 2: wrong options.
`

const options = commandLine('fuzz', {
  seconds: { type: 'string' },
  target: { type: 'string' },
  jobs: { type: 'string', default: String(availableParallelism()) },
  seed: { type: 'string' },
  replay: { type: 'string' },
  keep: { type: 'boolean', default: false },
  json: { type: 'string' },
  help: { type: 'boolean', default: false },
})
if (options.help) process.stdout.write(HELP)
else process.exitCode = await main(options)

async function main({ target, replay, keep, json, ...given }) {
  const wanted = target?.split(',') ?? TARGETS
  const unknown = wanted.find((name) => !TARGETS.includes(name))
  if (unknown !== undefined || (replay !== undefined && (wanted.length !== 1 || wanted[0] === 'descriptors'))) {
    console.error(unknown === undefined ? 'fuzz: --replay takes an input of the one --target that is named; descriptors have a --seed' : `fuzz: no target is named ${unknown}: ${TARGETS.join(', ')}`)
    return 2
  }
  const seconds = given.seconds === undefined ? Math.max(1, Math.floor(QUICK_SECONDS / wanted.length)) : wholeNumber('fuzz', 'seconds', given.seconds, 1, 86_400)
  const seed = given.seed === undefined ? randomInt(2 ** 31) : wholeNumber('fuzz', 'seed', given.seed, 0, 2 ** 31 - 1)
  const jobs = wholeNumber('fuzz', 'jobs', given.jobs, 1, 64)
  if (replay !== undefined && wanted[0] === 'info') return replayInfo(replay)

  const skipped = wanted.some((name) => ENGINE.includes(name)) ? engine.missing() : undefined
  const runnable = wanted.filter((name) => skipped === undefined || !ENGINE.includes(name))
  if (skipped !== undefined) console.log(`skipped: ${wanted.filter((name) => ENGINE.includes(name)).join(', ')}: ${skipped}`)
  const program = runnable.some((name) => ENGINE.includes(name)) ? engine.build() : undefined
  if (program === null) return 1
  if (replay !== undefined) return program !== undefined && engine.replay(program, wanted[0], replay) ? 0 : 1
  if (keep) return runnable.every((name) => name === 'descriptors' || (name === 'info' ? keepInfo() : engine.keep(program, name))) ? 0 : 1

  const reports = await all(runnable, jobs, (name) => one(name, program, seconds, seed))
  tell(reports)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ seconds, seed, targets: reports }, null, 2)}\n`)
  return reports.every(({ findings }) => findings.length === 0) ? 0 : 1
}

async function one(name, program, seconds, seed) {
  const began = performance.now()
  const report = await (ENGINE.includes(name) ? engine.fuzz(program, name, seconds) : SCRIPTS[name]({ seconds, seed }))
  return { target: name, wallSeconds: (performance.now() - began) / 1000, ...report }
}

/** Every job, so many at once; the results in the order of the jobs. */
async function all(names, atOnce, job) {
  const results = []
  const queue = names.entries()
  const worker = async () => {
    for (const [index, name] of queue) results[index] = await job(name)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}

function tell(reports) {
  const rows = reports.map(({ target, wallSeconds, processorSeconds, executions, coverage, corpus, findings }) => [
    target,
    `${wallSeconds.toFixed(0)} s`,
    `${processorSeconds.toFixed(0)} s`,
    String(executions),
    (executions / wallSeconds).toFixed(0),
    coverage,
    String(corpus),
    String(findings.length),
  ])
  console.log(table(['target', 'time', 'processor', 'executions', 'a second', 'coverage', 'corpus', 'findings'], rows).join('\n'))
  const seeds = reports.filter(({ seed }) => seed !== undefined)
  if (seeds.length > 0) console.log(`\n${seeds.map(({ target }) => target).join(' and ')} again: --seed ${seeds[0].seed}`)
  for (const { target, findings } of reports) {
    for (const { what, replay } of findings) console.log(`\nFOUND by ${target}: ${what}\n  npm run fuzz -- ${replay}`)
  }
}

async function replayInfo(file) {
  const { run } = await import('./javascript/info.mjs')
  run(readFileSync(file, 'utf8'))
  return 0
}
