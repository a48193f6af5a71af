/** `npm run test:lifecycle`: what JavaScript does to a process, on every line of Node; and what other runtimes can do. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { liveLine } from '../../bench/support/live.mjs'
import { parseArgs } from 'node:util'
import { CASES, SMOKE } from './cases.mjs'
import { NODE_LINES, runtimes } from './runtimes.mjs'

const NAMES = [...CASES, SMOKE].map(({ name }) => name)
const HELP = `npm run test:lifecycle -- [options]

  --quick        small counts, for CI; without it the long form, 10,000 open-close cycles on each line of Node
  --only NAMES   these cases alone, with commas between them
  --node LINE    this line of Node alone (${NODE_LINES.join(', ')}); may be given again. Bun and Deno are left out then
  --json FILE    the rows as JSON
  --help         this text

The cases on Node:
${CASES.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')}
On Bun and Deno:
  ${SMOKE.name.padEnd(12)} ${SMOKE.about}

Every case is a process of its own. Exit code 0: each row passed, or says why it was skipped. 1: not so. 2: wrong options.
`
/** A case of the quick form takes seconds, one of the long form minutes; longer it hangs. */
const PATIENCE_MS = { quick: 60_000, long: 600_000 }
const LINES_SHOWN = 15

function usage(message) {
  process.stderr.write(`lifecycle: ${message}; --help lists the options\n`)
  process.exit(2)
}

function commandLine() {
  const options = {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    node: { type: 'string', multiple: true },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  }
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return usage(error.message.split('. ')[0])
  }
}

/** Runs one case to its end; never throws. */
function run({ binary, arguments: before }, { name }, settings, patience) {
  const program = fileURLToPath(new URL(`./cases/${name}.mjs`, import.meta.url))
  const began = performance.now()
  return new Promise((resolve) => {
    const child = spawn(binary, [...before, program, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let late = false
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, patience)
    const end = (how) => {
      clearTimeout(timer)
      resolve({ seconds: (performance.now() - began) / 1000, ...judged(how, output) })
    }
    child.on('error', (error) => end(`did not start: ${error.message}`))
    child.on('close', (code, signal) => {
      if (late) end(`was not over within ${patience / 1000} s`)
      else if (code !== 0 || signal !== null) end(`ended with ${signal ?? `code ${code}`}`)
      else end(null)
    })
  })
}

/** The row of a case by its end, `how` (null when that was code 0), and by the last line that it has said. */
function judged(how, output) {
  const lines = output.trimEnd().split('\n')
  const said = lines.findLast((line) => /^(passed|skipped): /.test(line))
  if (how === null && said !== undefined) {
    const [, result, detail] = /^(\w+): (.*)$/.exec(said)
    return { result, detail }
  }
  return { result: 'FAILED', detail: how ?? 'ended with code 0 and said nothing', output: lines.slice(-LINES_SHOWN) }
}

async function main({ quick, only, node, json }) {
  const names = only?.split(',') ?? NAMES
  for (const name of names) if (!NAMES.includes(name)) usage(`there is no case ${name}`)
  for (const line of node ?? []) if (!NODE_LINES.includes(line)) usage(`there is no line ${line} of Node here`)
  const cases = CASES.filter(({ name }) => names.includes(name))
  const form = quick ? 'quick' : 'long'
  const rows = []
  const live = liveLine()
  const print = (row) => {
    rows.push(row)
    const time = row.seconds === undefined ? '' : `${row.seconds.toFixed(1)} s`
    live.clear()
    process.stdout.write(`${row.runtime.padEnd(13)} ${row.case.padEnd(10)} ${row.result.padEnd(7)} ${time.padStart(7)}  ${row.detail}\n`)
    for (const line of row.output ?? []) process.stdout.write(`    ${line}\n`)
  }
  for (const runtime of await runtimes(node ?? NODE_LINES, node === undefined && names.includes(SMOKE.name))) {
    const todo = runtime.kind === 'node' ? cases : [SMOKE]
    if (runtime.skipped !== undefined) {
      if (todo.length > 0) print({ runtime: runtime.name, case: 'all', result: 'skipped', detail: runtime.skipped })
      continue
    }
    for (const one of todo) {
      live.show(`${runtime.name}: ${one.about}`)
      print({ runtime: runtime.name, case: one.name, ...(await run(runtime, one, one[form], PATIENCE_MS[form])) })
    }
  }
  const count = (result) => rows.filter((row) => row.result === result).length
  const failed = count('FAILED')
  process.stdout.write(`\n${failed === 0 ? 'passed' : 'FAILED'}: ${count('passed')} passed, ${failed} failed, ${count('skipped')} skipped\n`)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ form, rows }, null, 2)}\n`)
  return failed === 0 ? 0 : 1
}

const options = commandLine()
if (options.help) process.stdout.write(HELP)
else process.exitCode = await main(options)
