import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { seed } from './support/raw-random'

const run = promisify(execFile)
const SUITE = join(__dirname, '..', '..', 'suites', 'fuzz')

/** Seeds that found something once. */
const DESCRIPTOR_SEEDS = [2, 3, 4]

/** The last line that it prints, and its exit code. */
async function child(script: string, ...options: string[]): Promise<{ code: number; report: Record<string, unknown>; stderr: string }> {
  const ended = run(process.execPath, [join(SUITE, script), ...options], { timeout: 120_000 })
  const { code, stdout, stderr } = await ended.then(
    (output) => ({ code: 0, ...output }),
    (error: { code: number; stdout: string; stderr: string }) => error
  )
  return { code, report: JSON.parse(stdout.trim().split('\n').at(-1) || '{}') as Record<string, unknown>, stderr }
}

test('every endpoint info that is kept is taken or refused as its text says', async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'memlane-fuzz-'))
  t.teardown(() => rmSync(work, { recursive: true }))
  const { code, report, stderr } = await child('javascript/info-fuzz.mjs', '--seed', String(seed), '--seconds', '0', '--work', work)
  t.is(report.what, undefined, String(report.finding))
  t.is(code, 0, stderr)
  t.true((report.executions as number) > 5)
})

for (const number of [...DESCRIPTOR_SEEDS, seed]) {
  test(`whatever numbers the engine is handed, each operation ends once and touches nothing that it may not name: ${number === seed ? 'a fresh seed' : `seed ${number}`}`, async (t) => {
    const { code, report, stderr } = await child('javascript/descriptors.mjs', '--seed', String(number), '--rounds', '15')
    t.is(code, 0, `seed ${number}: ${stderr}`)
    t.is(report.rounds, 15)
  })
}

test('options that make no sense are told in one line, with exit code 2', async (t) => {
  for (const options of [['--seconds', '0'], ['--target', 'nothing'], ['--target', 'descriptors', '--replay', 'x'], ['--sed', '1']]) {
    const { code, stderr } = await child('run.mjs', ...options)
    t.is(code, 2, options.join(' '))
    t.regex(stderr, /^fuzz: .*\n$/)
  }
})
