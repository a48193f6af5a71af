/** Runs the example with small numbers: every text comes back right, by every transport, and both processes end. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('./main.mjs', import.meta.url))

function run(...options) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [main, ...options], { encoding: 'utf8', timeout: 55_000 })
  assert.equal(signal, null, 'it did not end within 55 s')
  return { status, stdout, stderr }
}

const { status, stdout, stderr } = run('--pages', '3', '--rounds', '1', '--json')
assert.equal(stderr, '')
const { right, rows, wrong } = JSON.parse(stdout)
assert.deepEqual(wrong, [])
assert.ok(right)
assert.equal(status, 0)
assert.deepEqual(rows.map(({ transport }) => transport), ['memlane', 'child_process IPC', 'IPC, each send awaited'])
for (const { transport, latestTimerMs, shortestRecognitionMs } of rows) {
  // What the comparison rests on: session.run() holds the event loop, so timers of that process are late.
  assert.ok(latestTimerMs > 0.8 * shortestRecognitionMs, `${transport}: the event loop was not blocked`)
  console.log(`ok  3 receipts by ${transport}: every text right, event loop blocked for up to ${latestTimerMs.toFixed(0)} ms`)
}

// Long receipts keep the second process behind: the first one must not write over crops that it has not seen yet.
const long = JSON.parse(run('--memlane', '--pages', '4', '--rounds', '1', '--items', '9', '--json').stdout)
assert.deepEqual(long.wrong, [])
console.log('ok  4 long receipts by memlane, faster found than read: every text right')

const refused = run('--pages', 'many')
assert.equal(refused.status, 1)
assert.equal(refused.stderr, 'ocr-pipeline: --pages takes a whole number from 1 to 10000\n')
console.log('ok  a wrong option is one line and exit status 1')
