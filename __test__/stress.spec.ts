import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { seed } from './support/raw-random'

const run = promisify(execFile)
const COMMAND = join(__dirname, '..', '..', 'stress', 'run.mjs')

interface Report {
  seed: number
  passed: boolean
  problems: string[]
  operations: number
  ok: number
  health: unknown[]
}

/** What it says and with which exit code. */
async function stress(...options: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const ended = run(process.execPath, [COMMAND, ...options], { timeout: 100_000, maxBuffer: 64 << 20 })
  return ended.then(
    (output) => ({ code: 0, ...output }),
    (error: { code: number; stdout: string; stderr: string }) => error
  )
}

test('two processes do everything to each other for three seconds, and all of it comes out as promised', async (t) => {
  const { code, stdout, stderr } = await stress('--seed', String(seed), '--seconds', '3', '--processes', '2', '--json')
  t.regex(stderr, new RegExp(`seed ${seed}, 2 processes, 3 seconds`))
  const report = JSON.parse(stdout) as Report
  t.deepEqual(report.problems, [], `seed ${seed}`)
  t.like(report, { seed, passed: true })
  t.is(code, 0)
  t.true(report.ok > 500, `only ${report.ok} of ${report.operations} operations gave a value`)
  t.is(report.health.length, 2)
})

test('options that make no sense are told in one line, with exit code 2', async (t) => {
  for (const options of [['--seconds', '0'], ['--processes', '17'], ['--seed', 'x'], ['--sed', '1']]) {
    const { code, stdout, stderr } = await stress(...options)
    t.is(code, 2, options.join(' '))
    t.is(stdout, '')
    t.regex(stderr, /^stress: .*\n$/)
  }
  t.regex((await stress('--help')).stdout, /--seed N/)
})
