/** Models and simulated worlds of the engine: `npm run test:model`. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import process from 'node:process'
import { commandLine } from '../../bench/support/command-line.mjs'
import { SetupError, root, run, say } from '../../scripts/build.mjs'

const HELP = `usage: npm run test:model -- [options]
  Goes through every order in which threads can get in the models of what they share (loom), then lets worlds of two or
  three processes live on virtual time while the network between them fails in every way.
  --seeds N      worlds, each of some 480 operations; 300 by default, 2,200 for a million operations
  --from N       the first one's seed; 1 by default
  --seed N       only the world of this seed, twice: what it broke, and whether both went the same way
  --only PART    models or worlds
  --json FILE    write what came of it there, too`

const options = commandLine('test:model', {
  seeds: { type: 'string', default: '300' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  only: { type: 'string' },
  json: { type: 'string' },
  help: { type: 'boolean' },
})
if (options.help) {
  console.log(HELP)
  process.exit(0)
}

function refuse(what) {
  console.error(`test:model: ${what}; --help lists the options`)
  process.exit(2)
}

function whole(name, least) {
  const value = Number(options[name])
  return Number.isSafeInteger(value) && value >= least ? value : refuse(`--${name} is a whole number from ${least} on`)
}

const only = options.only
if (only !== undefined && only !== 'models' && only !== 'worlds') refuse('--only is models or worlds')

/** Loom's build apart from all others: its flag would have everything compiled anew each time. */
const LOOM = ['test', '--package', 'memlane-engine', '--lib', '--profile', 'simulation', '--target-dir', 'target/loom']

function models() {
  const { RUSTFLAGS } = process.env
  process.env.RUSTFLAGS = `${RUSTFLAGS ?? ''} --cfg memlane_loom`
  let output
  try {
    run('cargo', [...LOOM, '--no-run'], { doing: 'compiling the models', live: true })
    output = run('cargo', [...LOOM, '--quiet', '--', '--nocapture', 'models::'], { doing: 'the models' })
  } finally {
    if (RUSTFLAGS === undefined) delete process.env.RUSTFLAGS
    else process.env.RUSTFLAGS = RUSTFLAGS
  }
  const rows = []
  for (const [line, name, orders] of output.matchAll(/^\.*model (\S+): (\d+) orders.*$/gm)) {
    console.log(line.replace(/^\.+/, ''))
    rows.push({ name, orders: Number(orders) })
  }
  if (rows.length === 0) throw new SetupError('no model was run')
  return rows
}

const EXAMPLE = ['--package', 'memlane-engine', '--example', 'faults', '--features', 'simulation', '--profile', 'simulation']
const PROGRAM = join(root, 'target', 'simulation', 'examples', 'faults')

/** Lets these worlds live in a process of their own; `hear` is told of each that broke a promise. */
function live(args, hear) {
  return new Promise((resolve, reject) => {
    const child = spawn(PROGRAM, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
    let total
    createInterface({ input: child.stdout }).on('line', (line) => {
      const told = JSON.parse(line)
      if (told.violations === undefined) total = told
      else hear(told)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (total === undefined) reject(new SetupError(`the worlds ${args.join(' ')} ended by ${signal ?? `exit status ${code}`}`))
      else resolve(total)
    })
  })
}

function tell({ seed, violations }) {
  console.log(`seed ${seed} broke a promise; npm run test:model -- --seed ${seed} plays it again`)
  for (const violation of violations) console.log(`  ${violation}`)
}

/** One world twice, in processes of their own; whether it went the same way. */
async function twice(seed, report) {
  const args = ['--from', String(seed), '--count', '1']
  const [one, other] = [await live(args, report), await live(args, () => {})]
  const same = one.last_digest === other.last_digest && one.operations === other.operations
  console.log(
    `seed ${seed}: ${one.operations} operations, ${one.faults} faults, trace ${one.last_digest}, ` +
      (same ? 'the same a second time' : `but ${other.last_digest} a second time`)
  )
  return { broken: one.broken + (same ? 0 : 1), trace: one.last_digest, same }
}

async function worlds() {
  run('cargo', ['build', ...EXAMPLE], { doing: 'compiling the worlds', live: true })
  if (options.seed !== undefined) return twice(whole('seed', 0), tell)
  const [count, from] = [whole('seeds', 1), whole('from', 0)]
  const processes = Math.min(availableParallelism(), 8, count)
  say(`${count} worlds in ${processes} processes`)
  const began = performance.now()
  const parts = await Promise.all(
    Array.from({ length: processes }, (_, index) => {
      const share = Math.ceil((count - index) / processes)
      return live(['--from', String(from + index), '--step', String(processes), '--count', String(share)], tell)
    })
  )
  const sum = (key) => parts.reduce((total, part) => total + part[key], 0)
  const seconds = (performance.now() - began) / 1000
  const report = {
    worlds: count,
    from,
    operations: sum('operations'),
    succeeded: sum('succeeded'),
    faults: sum('faults'),
    virtualSeconds: Math.round(sum('virtual_s')),
    seconds: Math.round(seconds * 10) / 10,
    broken: sum('broken'),
  }
  console.log(
    `worlds: ${count} from seed ${from}, ${report.operations} operations (${report.succeeded} succeeded), ${report.faults} faults, ` +
      `${report.virtualSeconds} s of virtual time in ${report.seconds} s; ${report.broken} broke a promise`
  )
  const replayed = await twice(from, () => {})
  return { ...report, broken: report.broken + (replayed.same ? 0 : 1), replayed }
}

try {
  const report = {}
  if (only !== 'worlds' && options.seed === undefined) report.models = models()
  if (only !== 'models') report.worlds = await worlds()
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  process.exitCode = (report.worlds?.broken ?? 0) > 0 ? 1 : 0
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(`test:model: ${error.message}`)
  process.exit(1)
}
