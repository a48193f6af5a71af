/** `npm run stress`: processes that do everything to each other at once, and whether all of it came out as promised. */
import { randomInt } from 'node:crypto'
import { commandLine, wholeNumber } from '../bench/support/command-line.mjs'
import { Fleet } from './fleet.mjs'
import { play } from './play.mjs'
import { healthTable, operationsTable, sum, totals } from './verdict.mjs'

const HELP = `npm run stress -- [options]

  --seed N         plays the plans of that run again (a fresh one, which is printed)
  --seconds S      how long (30)
  --processes P    how many processes, 1 to 16 (8)
  --json           the report as JSON on standard output, and nothing else there
  --help           this text

Exit code 0: every operation ended once and as it may, no byte was wrong, nothing was left behind. 1: not so. 2: wrong options.
`

const FAILURES_SHOWN = 12

const options = commandLine('stress', {
  seed: { type: 'string' },
  seconds: { type: 'string', default: '30' },
  processes: { type: 'string', default: '8' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
})
if (options.help) process.stdout.write(HELP)
else process.exitCode = await main(options)

async function main({ json, ...given }) {
  const seed = given.seed === undefined ? randomInt(2 ** 32) : wholeNumber('stress', 'seed', given.seed, 0, 2 ** 32 - 1)
  const seconds = wholeNumber('stress', 'seconds', given.seconds, 1, 86_400)
  const processes = wholeNumber('stress', 'processes', given.processes, 1, 16)
  const replay = `npm run stress -- --seed ${seed} --seconds ${seconds} --processes ${processes}`
  const say = (text) => (json ? process.stderr : process.stdout).write(`${text}\n`)
  say(`stress: seed ${seed}, ${processes} processes, ${seconds} seconds`)

  const fleet = new Fleet(seed, processes)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void fleet.end().then(() => process.exit(130)))
  const problems = []
  let reports
  try {
    reports = await play(fleet, { seconds })
    problems.push(...fleet.post.lost)
  } catch (error) {
    // Who hangs, and in what, before they are ended.
    problems.push(error.message, ...(await fleet.diagnose()))
  }
  const { summaries } = fleet
  await fleet.end()
  // Who hangs comes first: what others have waited for in vain follows from it.
  problems.push(...summaries.flatMap(({ failures }) => failures))
  const failed = problems.length + sum(summaries.map((summary) => summary.failed - summary.failures.length))
  const { operations, ok } = totals(summaries)

  if (json) {
    const counts = summaries.map((summary) => summary.counts)
    const report = { seed, seconds, processes, replay, passed: failed === 0, failed, problems, operations, ok, counts }
    process.stdout.write(`${JSON.stringify({ ...report, health: reports?.map(({ health }) => health) }, null, 2)}\n`)
  } else {
    say(`\n${operationsTable(summaries).join('\n')}`)
    if (reports !== undefined) say(`\n${healthTable(reports).join('\n')}`)
  }
  if (failed === 0) {
    say(`\npassed: ${operations} operations, each ended once; ${ok} with a value, ${operations - ok} with a code that it may have`)
    return 0
  }
  for (const problem of problems.slice(0, FAILURES_SHOWN)) say(`\n${problem}`)
  say(`\nFAILED: ${failed} failures in ${operations} operations; again with:\n  ${replay}`)
  return 1
}
