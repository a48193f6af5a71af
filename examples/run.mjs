/**
 * `npm run test:examples`: runs the test of every example in turn, each in a process of its own, and installs what they need.
 *
 * A test is `examples/NAME/test.mjs`. It ends with status 0, or with another one where it failed; with the last line `skipped: why`
 * and status 0 where this machine cannot run it.
 */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { liveLine } from '../bench/support/live.mjs'
import { isInstalled } from '../scripts/installed.mjs'

const FOLDER = dirname(fileURLToPath(import.meta.url))
const NAMES = readdirSync(FOLDER).filter((name) => name !== 'node_modules' && existsSync(join(FOLDER, name, 'test.mjs')))
const PATIENCE_MS = 120_000
const INSTALL_PATIENCE_MS = 300_000
const LINES_SHOWN = 15
const HELP = `npm run test:examples -- [NAME…]

Runs the tests of these examples, or of all: ${NAMES.join(', ')}.
The packages that they need are installed into examples/node_modules first, without any script of theirs.

  --verbose   what each test says, not of failed ones alone
  --help      this text

What needs redis-server, or Python and the dlslime wheel, and does not find them, is skipped and says why; MEMLANE_REDIS=required and
MEMLANE_INTEROP=required make that a failure. Exit status 0: none failed. 1: one did. 2: wrong options.
`

const { values, positionals } = commandLine()
if (values.help) process.stdout.write(HELP)
else process.exitCode = await main(positionals.length > 0 ? positionals : NAMES)

function commandLine() {
  try {
    const options = { verbose: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } }
    const line = parseArgs({ options, allowPositionals: true })
    const unknown = line.positionals.find((name) => !NAMES.includes(name))
    if (unknown !== undefined) throw new Error(`there is no example ${unknown} with a test, there are ${NAMES.join(', ')}`)
    return line
  } catch (error) {
    process.stderr.write(`examples: ${error.message.split('. ')[0]}; --help lists the options\n`)
    process.exit(2)
  }
}

async function main(names) {
  const live = liveLine()
  if (!isInstalled(FOLDER)) {
    process.stderr.write('examples: installing their packages (npm ci, some 300 MB)\n')
    const { how, output } = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], INSTALL_PATIENCE_MS)
    if (how !== null) {
      process.stderr.write(`examples: npm ci ${how}: ${output.split('\n').find((line) => line.startsWith('npm error')) ?? output.trim()}\n`)
      return 1
    }
  }
  const width = Math.max(...names.map((name) => name.length))
  const results = []
  for (const name of names) {
    live.show(name)
    const began = performance.now()
    const end = await run(process.execPath, [join(FOLDER, name, 'test.mjs')], PATIENCE_MS)
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    const { result, why } = judged(end)
    results.push(result)
    live.clear()
    process.stdout.write(`${name.padEnd(width)}  ${result.padEnd(7)}  ${seconds.padStart(5)} s${why === '' ? '' : `  ${why}`}\n`)
    if (result === 'failed' || values.verbose) for (const line of lines(end).slice(-LINES_SHOWN)) process.stdout.write(`    ${line}\n`)
  }
  const count = (wanted) => results.filter((result) => result === wanted).length
  process.stdout.write(`\n${count('failed') > 0 ? 'FAILED' : 'passed'}: ${count('ok')} ok, ${count('failed')} failed, ${count('skipped')} skipped\n`)
  return count('failed') > 0 ? 1 : 0
}

function lines({ output }) {
  return output.trimEnd().split('\n')
}

function judged(end) {
  if (end.how !== null) return { result: 'failed', why: end.how }
  const [, why] = /^skipped: (.*)$/.exec(lines(end).at(-1)) ?? []
  return why === undefined ? { result: 'ok', why: '' } : { result: 'skipped', why }
}

/** Runs a program to its end. `how` it ended, null where that was well, and all it said. What it started goes with it. */
function run(program, args, patience) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: FOLDER, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let output = ''
    let late = false
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    const end = () => endGroup(child)
    const timer = setTimeout(() => {
      late = true
      end()
    }, patience)
    const interrupted = (signal) => {
      end()
      process.exit(signal === 'SIGINT' ? 130 : 143)
    }
    const done = (how) => {
      clearTimeout(timer)
      for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, interrupted)
      resolve({ how, output })
    }
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, interrupted)
    child.on('error', (error) => done(`did not start: ${error.message}`))
    child.on('exit', end)
    child.on('close', (code, signal) => {
      if (late) done(`was not over within ${patience / 1000} s`)
      else done(code === 0 ? null : `ended with ${signal ?? `status ${code}`}`)
    })
  })
}

/** The program leads a group of its own, with all that it started. */
function endGroup({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}
