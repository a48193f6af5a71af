/** Builds and runs the simulation of the engine: `npm run simulate -- --peers 10000 --seed 1`. */
import { writeFileSync } from 'node:fs'
import { machine, versions } from '../machine.mjs'
import { commandLine, wholeNumber } from '../support/command-line.mjs'
import { SetupError, run, say } from '../../scripts/build.mjs'

const HELP = `usage: npm run simulate -- [options]
  --peers N      processes to simulate, 10,000 by default; 1 to 1,000,000
  --seed N       what everything random follows from; the same seed gives the same digest. 1 by default; 0 to 2^53 - 1
  --json FILE    write the report there instead of to standard output
  --help         this text`

const options = commandLine('simulate', {
  peers: { type: 'string', default: '10000' },
  seed: { type: 'string', default: '1' },
  json: { type: 'string' },
  help: { type: 'boolean' },
})
if (options.help) {
  console.log(HELP)
  process.exit(0)
}
const peers = wholeNumber('simulate', 'peers', options.peers, 1, 1_000_000)
const seed = wholeNumber('simulate', 'seed', options.seed, 0, Number.MAX_SAFE_INTEGER)

const CARGO = ['run', '--quiet', '--package', 'memlane-engine', '--example', 'simulate', '--features', 'simulation', '--profile', 'simulation']
try {
  say(`simulating ${peers} processes`)
  const output = run('cargo', [...CARGO, '--', '--peers', String(peers), '--seed', String(seed)], { doing: 'the simulation' })
  const report = { machine: machine({ text: 'free' }), versions: versions(), ...JSON.parse(output) }
  say(`digest ${report.digest}`)
  const text = `${JSON.stringify(report, null, 2)}\n`
  if (options.json === undefined) process.stdout.write(text)
  else writeFileSync(options.json, text)
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(`simulate: ${error.message}`)
  process.exit(1)
}
