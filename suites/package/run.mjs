/** `npm run test:package`: what a user gets, from the tarballs that a release publishes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { liveLine } from '../../bench/support/live.mjs'
import { SetupError } from '../../scripts/build.mjs'
import { NODE_LINES, runtimes } from '../lifecycle/runtimes.mjs'
import { CASES, RUNTIMES } from './cases.mjs'
import { Skipped } from './expect.mjs'
import { registry } from './registry.mjs'
import { tarballs } from './tarballs.mjs'
import { user } from './user.mjs'

const ALL = [...CASES, RUNTIMES]
const HELP = `npm run test:package -- [options]

  --only NAMES       these cases alone, with commas between them
  --tarballs FOLDER  these tarballs, as \`node scripts/pack.mjs --all\` makes them for a release; without it they are packed anew
  --binaries FOLDER  pack the binaries that lie here, not the one that was built in this clone
  --glibc VERSION    fail when a binary needs a newer glibc than this one
  --json FILE        the rows as JSON
  --help             this text

The cases:
${ALL.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join('\n')}

Nothing is fetched but what the cases need themselves, from lock files into build/: runtimes, a registry server, a checker of types.
Exit code 0: each row passed, or says why it was skipped. 1: not so. 2: wrong options.
`
/** Those that others need: what they install stays for them. */
const NEEDED = { modules: ['install'], types: ['install'], npx: ['install'], runtimes: ['install'] }

function usage(message) {
  process.stderr.write(`package: ${message}; --help lists the options\n`)
  process.exit(2)
}

function commandLine() {
  const text = { type: 'string' }
  const options = { only: text, tarballs: text, binaries: text, glibc: text, json: text, help: { type: 'boolean', default: false } }
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return usage(error.message.split('. ')[0])
  }
}

function wanted(only) {
  if (only === undefined) return ALL.map(({ name }) => name)
  const names = only.split(',')
  for (const name of names) if (!ALL.some((one) => one.name === name)) usage(`there is no case ${name}`)
  return names.flatMap((name) => [...(NEEDED[name] ?? []), name])
}

async function main({ only, tarballs: folder, binaries, glibc, json }) {
  const names = wanted(only)
  const rows = []
  const live = liveLine()
  const home = mkdtempSync(join(tmpdir(), 'memlane-package-'))
  let server
  const absolute = (path) => path && resolve(path)

  async function row(name, about, body) {
    live.show(about)
    const began = performance.now()
    const outcome = await Promise.resolve()
      .then(body)
      .then(
        (detail) => ({ result: 'passed', detail }),
        (error) => ({ result: error instanceof Skipped ? 'skipped' : 'FAILED', detail: error.message }),
      )
    rows.push({ case: name, seconds: (performance.now() - began) / 1000, ...outcome })
    const { seconds, result, detail } = rows.at(-1)
    live.clear()
    process.stdout.write(`${name.padEnd(11)} ${result.padEnd(7)} ${`${seconds.toFixed(1)} s`.padStart(7)}  ${detail.replaceAll('\n', '\n    ')}\n`)
  }

  try {
    live.show('packing')
    const packed = tarballs({ folder: absolute(folder), binaries: absolute(binaries), into: join(home, 'tarballs') })
    const context = {
      packed,
      home,
      binaries: absolute(binaries),
      glibc,
      user: (options) => user({ home, ...options }),
      empty: user({ home, name: 'empty' }),
      consumer: user({ home, name: 'consumer' }),
      registry: () => (server ??= registry({ home, packed })),
    }
    for (const one of CASES) if (names.includes(one.name)) await row(one.name, one.about, () => one.run(context))
    if (names.includes(RUNTIMES.name)) {
      for (const runtime of await runtimes(NODE_LINES, true)) {
        await row(runtime.name, RUNTIMES.about, () => {
          if (runtime.skipped !== undefined) throw new Skipped(runtime.skipped)
          return RUNTIMES.run(context, runtime)
        })
      }
    }
  } finally {
    live.clear()
    const running = await server?.catch(() => undefined)
    running?.stop()
    rmSync(home, { recursive: true, force: true })
  }
  const count = (result) => rows.filter((one) => one.result === result).length
  const failed = count('FAILED')
  process.stdout.write(`\n${failed === 0 ? 'passed' : 'FAILED'}: ${count('passed')} passed, ${failed} failed, ${count('skipped')} skipped\n`)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ rows }, null, 2)}\n`)
  return failed === 0 ? 0 : 1
}

const options = commandLine()
if (options.help) process.stdout.write(HELP)
else {
  process.exitCode = await main(options).catch((error) => {
    if (!(error instanceof SetupError)) throw error
    process.stderr.write(`package: ${error.message}\n`)
    return 1
  })
}
