import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Result } from '../../dist/src/cli/bench/result'
import { run } from '../support/cli'
import { sha256 } from '../support/raw-random'
import { content, contentKey, withWheel } from './support'

const LENGTH = 2 << 20

withWheel('memlane bench measures a wheel by its info, reads and writes, and leaves its bytes as they were', async (t, rig) => {
  const wheel = await rig.wheel()
  await wheel.region('small', 4096)
  await wheel.region('data', LENGTH)
  await wheel.fill('data', contentKey('data'), LENGTH)
  const folder = mkdtempSync(join(tmpdir(), 'memlane-bench-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'info.json')
  writeFileSync(file, JSON.stringify(await wheel.info()))
  const { status, stdout, stderr } = await run('bench', file, '--write', '--json', '--sizes', '64,1M', '--depth', '2', '--seconds', '0.1')
  t.is(status, 0, stderr)
  const { target, completion, rows } = JSON.parse(stdout) as Result
  t.deepEqual([target.wire, target.region, target.region_bytes], ['legacy', 'data', LENGTH])
  t.is(completion.write, 'the bytes have left for the target')
  t.deepEqual(rows.map(({ op, bytes, complete }) => [op, bytes, complete]), [
    ['read', 64, true],
    ['write', 64, true],
    ['read', 1 << 20, true],
    ['write', 1 << 20, true],
  ])
  t.is(await wheel.sha256('data', 0, LENGTH), sha256(content('data', LENGTH)))
  t.true(await wheel.intact())
})

withWheel('a wheel that is gone is one line of memlane bench, and 3', async (t, rig) => {
  const wheel = await rig.wheel()
  await wheel.region('data', 4096)
  const folder = mkdtempSync(join(tmpdir(), 'memlane-bench-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'info.json')
  writeFileSync(file, JSON.stringify(await wheel.info()))
  await wheel.crash()
  const { status, stdout, stderr } = await run('bench', file, '--sizes', '64')
  t.is(status, 3)
  t.is(stdout, '')
  t.regex(stderr, /^memlane bench: [^\n]+\n$/)
})
