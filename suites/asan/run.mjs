/** `npm run test:asan`: the engine's tests, and the addon under hostile peers, with AddressSanitizer and LeakSanitizer. */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { REPORTS, build, missing, watched, watchedNode } from './build.mjs'

const HELP = `npm run test:asan -- [options] [-- COMMAND]

  --quick        planted mistakes, the engine's tests, and the hostile specs but the long ones
  --only NAMES   these rows alone: planted, engine, specs, or specs by their names
  --json FILE    the rows as JSON
  --help         this text
  -- COMMAND     runs that command instead, with the instrumented addon in every Node that it starts, and judges what was reported:
                 npm run test:asan -- -- npm run stress -- --seconds 20

What is instrumented is all Rust code but the standard library; that, Node and the C library are watched where they allocate and
copy. Exit code 0: each planted mistake was found, and nothing else. 1: not so. 2: wrong options.
`
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PATIENCE_MS = 900_000
const LINES_SHOWN = 40

/** Each mistake, and what its report has to say. */
const MISTAKES = {
  'heap-overflow': /heap-buffer-overflow/,
  'heap-use-after-free': /heap-use-after-free/,
  'region-overflow': /use-after-poison/,
  'region-overflow-by-the-kernel': /use-after-poison/,
  'region-use-after-free': /use-after-poison/,
  'mapping-overflow': /use-after-poison/,
  // Nobody's memory any more: the processor says so itself.
  'mapping-use-after-free': /SEGV on unknown address/,
  leak: /detected memory leaks/,
}

/**
 * The specs of the binding that meet hostile bytes and hostile programs. Not those of mapped files: one maps a tebibyte, and the
 * sanitizer looks at what it knows of each of its bytes.
 */
const SPECS = /^(hostile-.*|token|lifecycle|transfer|region|messages|many-regions)\.spec\.js$/
/** What waits for deadlines or moves gigabytes stays in the long form. */
const QUICK_SPECS = /^hostile-(answers|framing|legacy|native)\.spec\.js$/

let runs = 0

/** Runs a program to its end; what it has printed and what the sanitizer has reported. */
function run(program, args, { env, cwd = ROOT, isLive = false } = {}) {
  const log = join(REPORTS, `run-${++runs}`)
  const began = performance.now()
  return new Promise((resolve) => {
    const stdio = isLive ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe']
    const child = spawn(program, args, { cwd, stdio, env: { ...process.env, ...env(log) } })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (output += text))
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
    const end = (how) => {
      clearTimeout(timer)
      resolve({ how, output, reports: reportsOf(log), seconds: (performance.now() - began) / 1000 })
    }
    child.on('error', (error) => end(`did not start: ${error.message}`))
    child.on('close', (code, signal) => end(code === 0 ? null : (signal ?? `code ${code}`)))
  })
}

/** The reports of all processes of a run, as far as they are about us. */
function reportsOf(log) {
  return readdirSync(REPORTS)
    .filter((file) => file.startsWith(`${basename(log)}.`))
    .map((file) => ours(readFileSync(join(REPORTS, file), 'utf8')))
    .filter((text) => text !== '')
}

/**
 * Of a report of leaks those that we have allocated: a program between us and Node leaks what it likes, and so does a V8 whose
 * thread was terminated. Of a stack that goes through both, whoever is nearer to the allocation has made it. Any other report is whole.
 */
function ours(report) {
  if (!report.includes('detected memory leaks')) return report
  const leaks = report.split('\n\n').filter((block) => {
    const whose = block.split('\n').find((line) => /^ *#\d+ .*(memlane|\/node\+0x)/.test(line))
    return whose !== undefined && whose.includes('memlane')
  })
  return leaks.length === 0 ? '' : ['detected memory leaks', ...leaks].join('\n\n')
}

async function* planted(built) {
  for (const [mistake, wanted] of Object.entries(MISTAKES)) {
    const test = ['--exact', 'region::planted::tests::a_planted_mistake_is_reported', '--quiet']
    const load = `require(process.env.NAPI_RS_NATIVE_LIBRARY_PATH).plant(${JSON.stringify(mistake)})`
    const ways = {
      engine: () => run(built.tests, test, { env: (log) => ({ ...watched(log), MEMLANE_MISTAKE: mistake }) }),
      addon: () => run(process.execPath, ['-e', load], { env: watchedNode }),
    }
    for (const [where, start] of Object.entries(ways)) {
      const { how, output, reports, seconds } = await start()
      const text = reports.join('\n')
      const found = wanted.test(text)
      yield {
        name: `planted in the ${where}`,
        result: found ? 'passed' : 'FAILED',
        seconds,
        detail: `${mistake}: ${found ? `found (${wanted.source})` : 'NOT FOUND'}`,
        output: found ? '' : `${how}\n${output}\n${text}`,
      }
    }
  }
}

const head = (text, lines) => text.split('\n').slice(0, lines).join('\n')

function judged(name, { how, output, reports, seconds }, detail) {
  if (how === null && reports.length === 0) return { name, result: 'passed', seconds, detail: `${detail(output)}; nothing was reported` }
  const what = [how && `ended with ${how}`, reports.length > 0 && `${reports.length} reports`].filter(Boolean).join(', ')
  // What matters of a test's output stands at its end.
  const shown = [...reports.map((text) => head(text, LINES_SHOWN)), output.split('\n').slice(-LINES_SHOWN).join('\n')]
  return { name, result: 'FAILED', seconds, detail: what, output: shown.join('\n') }
}

async function* engine(built) {
  // A test that is started for planted mistakes alone does nothing here.
  const ended = await run(built.tests, ['--quiet'], { env: watched })
  yield judged('engine tests', ended, (output) => /test result: (.*?);/.exec(output)?.[1] ?? 'no result')
}

async function* specs(_, quick, only) {
  const folder = join(ROOT, 'build', 'test')
  const ava = join(ROOT, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  for (const file of readdirSync(folder).filter((name) => (only ?? (quick ? QUICK_SPECS : SPECS)).test(name))) {
    // One at a time: the sanitizer takes twice the time, and the deadlines of the tests stay what they are.
    const ended = await run(process.execPath, [ava, '--serial', join(folder, file)], { env: watchedNode })
    yield judged(file.replace('.spec.js', ''), ended, (output) => /\d+ tests? passed/.exec(output)?.[0] ?? 'no result')
  }
}

const SPEC_NAME = /^[a-z-]+$/
const PARTS = { planted, engine, specs }

function commandLine() {
  const args = process.argv.slice(2)
  const at = args.indexOf('--')
  const command = at === -1 ? [] : args.splice(at).slice(1)
  const options = {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  }
  try {
    const { values } = parseArgs({ args, options })
    const names = values.only?.split(',') ?? Object.keys(PARTS)
    for (const name of names) if (PARTS[name] === undefined && !SPEC_NAME.test(name)) throw new Error(`there is no row ${name}`)
    return { ...values, names, command }
  } catch (error) {
    process.stderr.write(`asan: ${error.message.split('. ')[0]}; --help lists the options\n`)
    return process.exit(2)
  }
}

function print({ name, result, seconds, detail, output }) {
  process.stdout.write(`${name.padEnd(22)} ${result.padEnd(7)} ${`${seconds.toFixed(1)} s`.padStart(8)}  ${detail}\n`)
  if (result !== 'FAILED') return
  for (const line of output.split('\n')) process.stdout.write(`    ${line.slice(0, 300)}\n`)
}

async function main({ quick, names, command, json }) {
  const reason = missing()
  if (reason !== null) {
    process.stdout.write(`skipped: ${reason}\n`)
    return 0
  }
  rmSync(REPORTS, { recursive: true, force: true })
  mkdirSync(REPORTS, { recursive: true })
  const rows = []
  const add = (row) => {
    rows.push({ ...row, output: undefined })
    print(row)
  }
  const began = performance.now()
  const built = build()
  add({ name: 'build', result: 'passed', seconds: (performance.now() - began) / 1000, detail: 'engine tests and addon in target/asan' })
  if (command.length > 0) {
    const [program, ...args] = command
    add(judged(command.join(' '), await run(program, args, { env: watchedNode, isLive: true }), () => 'ended with code 0'))
  } else {
    for (const name of names) {
      const part = PARTS[name] ?? (() => specs(built, quick, new RegExp(`^${name}\\.spec\\.js$`)))
      for await (const row of part(built, quick)) add(row)
    }
  }
  const failed = rows.filter(({ result }) => result === 'FAILED').length
  process.stdout.write(`\n${failed === 0 ? 'passed' : 'FAILED'}: ${rows.length} rows, ${failed} failed; reports of all processes in build/asan\n`)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ quick, rows }, null, 2)}\n`)
  return failed === 0 ? 0 : 1
}

const options = commandLine()
if (options.help) process.stdout.write(HELP)
else process.exitCode = await main(options)
