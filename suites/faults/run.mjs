/** `npm run test:faults`: what befalls connections and processes, and what becomes of the operations that it meets. */
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { commandLine } from '../../bench/support/command-line.mjs'
import { Random } from '../../bench/support/random.mjs'
import * as dialling from './dialling.mjs'
import { fence } from './fence.mjs'
import { Pair, record, rows, run } from './matrix.mjs'
import { restarted } from './restarts.mjs'
import * as shortage from './shortage.mjs'
import { stopped } from './suspended.mjs'

const HELP = `npm run test:faults -- [options]

  --all          every byte position of the exchange; without it a sample, which the seed chooses
  --only TEXT    the rows whose name contains it
  --seed N       the sample and the random points of that run again (a fresh one, which is printed)
  --json FILE    rows and figures as JSON
  --help         this text

Between two memlane processes lies a proxy that knows bytes alone. After each number of bytes of an exchange (prefaces, proofs, a
question, a write, a read, a message) it delays, ends, resets, swallows, slows down or doubles what follows. Every operation has to end
once and in time, by a code about the connection or with the right bytes; the next one has to work within a second of the fault's end;
sockets and queued bytes have to come back. Then targets are stopped, killed and started anew, and machines run out.
Exit code 0: all did. 1: not so. 2: wrong options.
`

/** Positions of one row in the quick form. */
const SAMPLE = { small: 24, large: 3 }
const RESTARTS = 20
const ROUNDS = { quick: 5, all: 40 }
const PROBLEMS_SHOWN = 6

const options = commandLine('test:faults', {
  all: { type: 'boolean', default: false },
  only: { type: 'string' },
  seed: { type: 'string' },
  json: { type: 'string' },
  help: { type: 'boolean', default: false },
})
if (options.help) process.stdout.write(HELP)
else process.exitCode = await main(options)

function seedOf(text) {
  const seed = text === undefined ? randomInt(2 ** 32) : Number(text)
  if (text !== '' && Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed
  console.error(`test:faults: --seed takes a whole number from 0 to 4294967295, not ${text}`)
  process.exit(2)
}

async function main({ all, only, json, seed: given }) {
  if (process.platform !== 'linux') {
    console.log('skipped: descriptors, threads and memory are looked at in /proc, which only Linux has')
    return 0
  }
  const seed = seedOf(given)
  console.log(`test:faults: seed ${seed}`)
  const began = performance.now()
  const results = []
  const wanted = (name) => only === undefined || name.includes(only)
  const take = async (name, play) => {
    if (!wanted(name)) return
    const since = performance.now()
    let result
    try {
      result = await play()
    } catch (error) {
      result = { problems: [error.stack] }
    }
    const row = { name, ok: result.problems.length === 0, ms: Math.round(performance.now() - since), ...result }
    results.push(row)
    show(row)
  }

  for (const large of [false, true]) await exchange({ seed, all, large, take })
  const rounds = ROUNDS[all ? 'all' : 'quick']
  const random = (number) => new Random(seed, 0xfa, number)
  await take('dialling: refused', () => dialling.refused())
  await take('dialling: a host that does not answer', () => dialling.silent())
  await take('stop: no write succeeds while its target stands still', () => stopped({ random: random(1), rounds }))
  const one = { load: { reads: 1, largeReads: 1 }, patient: true, most: 2 }
  await take('restart: one read a lane under way', () => restarted({ random: random(2), restarts: RESTARTS, ...one }))
  const many = { load: { reads: 64, largeReads: 4 }, patient: true, most: 68 }
  await take('restart: many reads under way', () => restarted({ random: random(3), restarts: RESTARTS, ...many }))
  const hasty = { load: { reads: 32, largeReads: 2, writes: 8 } }
  await take('restart: who fails tries again at once', () => restarted({ random: random(4), restarts: all ? RESTARTS : 6, ...hasty }))
  await take('fence: no byte of a late write after it', () => fence({ random: random(5), rounds: 2 * rounds }))
  await take('descriptors: none is left', () => shortage.descriptors())
  await take('disk: none is left', () => shortage.disk())

  const failed = results.filter(({ ok }) => !ok)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ seed, all, rows: results }, null, 2)}\n`)
  if (results.length === 0) {
    console.error(`test:faults: no row has "${only}" in its name`)
    return 2
  }
  const again = `npm run test:faults -- --seed ${seed}${all ? ' --all' : ''}`
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  if (failed.length === 0) console.log(`\npassed: ${results.length} rows in ${seconds} s`)
  else console.log(`\nFAILED: ${failed.length} of ${results.length} rows in ${seconds} s; again with:\n  ${again} --only '${failed[0].name}'`)
  return failed.length === 0 ? 0 : 1
}

/** The rows of one exchange: every kind of fault, direction and connection. */
async function exchange({ seed, all, large, take }) {
  const label = large ? 'large' : 'small'
  const pair = await Pair.start({ slots: 64, large })
  let number = 0
  try {
    const passed = await record(pair, { large })
    for (const [index, row] of rows(passed, { large }).entries()) {
      const name = `${label} exchange: ${row.kind}, connection ${row.connection} ${row.direction}`
      const total = row.positions.length
      if (!all) row.positions = sample(row.positions, SAMPLE[label], new Random(seed, large ? 1 : 0, index))
      await take(name, async () => {
        const { problems, codes, second } = await run(pair, row, { number: () => ++number, large })
        const ends = Object.entries(codes).map(([code, count]) => `${code.slice(4)} ${count}`)
        const twice = second > 0 ? `; ${second} asked for twice` : ''
        return { problems, detail: `${row.positions.length} of ${total} positions; ${ends.join(', ') || 'all succeeded'}${twice}`, codes, second }
      })
    }
    await take(`${label} exchange: nothing is left`, async () => ({ problems: await pair.left() }))
  } finally {
    await pair.end()
  }
}

/** So many of the positions, the first and the last among them. */
function sample(positions, count, random) {
  if (positions.length <= count) return positions
  const chosen = new Set([positions[0], positions.at(-1)])
  while (chosen.size < count) chosen.add(random.pick(positions))
  return [...chosen]
}

function show({ name, ok, ms, detail, skipped, problems }) {
  if (skipped !== undefined) {
    console.log(`skipped  ${name}: ${skipped}`)
    return
  }
  console.log(`${ok ? 'ok      ' : 'NOT OK  '} ${name}${detail === undefined ? '' : `: ${detail}`} (${(ms / 1000).toFixed(1)} s)`)
  for (const problem of problems.slice(0, PROBLEMS_SHOWN)) console.log(`           ${problem}`)
  if (problems.length > PROBLEMS_SHOWN) console.log(`           and ${problems.length - PROBLEMS_SHOWN} more`)
}
