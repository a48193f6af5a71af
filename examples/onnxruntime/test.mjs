/** The example as a user runs it, and the proof that ONNX Runtime works in the regions: exit status 0 when all of it holds. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const beside = (name) => fileURLToPath(new URL(name, import.meta.url))
const run = (name, ...args) => execFileSync(process.execPath, [beside(name), ...args], { encoding: 'utf8', timeout: 60_000 })
const MIB = 1 << 20

let failures = 0
async function check(what, body) {
  try {
    console.log(`ok      ${what}${(await body()) ?? ''}`)
  } catch (error) {
    failures++
    console.log(`FAILED  ${what}: ${process.argv.includes('--debug') ? error.stack : error.message}`)
  }
}

await check('a word is drawn into one process and read there by a model, upright and turned', async () => {
  const target = spawn(process.execPath, [beside('target.mjs'), '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(target, 'exit')
  try {
    const [line] = await Promise.race([once(createInterface({ input: target.stdout }), 'line'), ended.then(() => ['it ended'])])
    const port = /^listening on port (\d+)$/.exec(line)?.[1]
    assert.ok(port, `target.mjs said: ${line}`)
    const lines = run('initiator.mjs', port).trim().split('\n')
    assert.match(lines[0], /^drawn upright, read as upright: scores \[1,2\] are /)
    assert.match(lines[1], /^drawn turned, read as turned: scores \[1,2\] are /)
    assert.deepEqual(await ended, [0, null], 'the target ends when it is told to')
  } finally {
    target.kill()
  }
})

if (process.platform === 'linux') {
  const measured = (...ends) => JSON.parse(run('copies.mjs', ...ends))
  await check('input and output are the regions, and a peer that writes the one changes the next run and the other', () => {
    const { isInputRegion, isOutputRegion, first, last } = measured('region', 'region')
    assert.deepEqual({ isInputRegion, isOutputRegion, first, last }, { isInputRegion: true, isOutputRegion: true, first: 2, last: 42 })
  })
  const share = ({ grown }) => `${(grown / MIB).toFixed(0)} MiB`
  await check('from region to region, a run takes no memory but for a copy that it resolves with', () => {
    const regions = measured('region', 'region')
    assert.ok(regions.grown < 1.5 * regions.bytes, `tensors of ${regions.bytes} bytes, and ${regions.grown} bytes more`)
    return `: ${share(regions)} more for tensors of ${regions.bytes / MIB} MiB; that is ${regions.isAnswerRegion ? 'no copy' : 'a copy'}`
  })
  await check('without an output region ONNX Runtime has an output of its own beside that', () => {
    const [own, regions] = [measured('region', 'own'), measured('region', 'region')]
    assert.ok(own.grown > regions.grown + own.bytes / 2, `${own.grown} bytes more without, ${regions.grown} with one`)
    return `: ${share(own)} more`
  })
} else {
  console.log('skipped: the proof that nothing is copied, which takes its figures from /proc of Linux')
}
process.exitCode = failures === 0 ? 0 : 1
