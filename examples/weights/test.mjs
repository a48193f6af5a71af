import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { failure, output } from '../support/expect.mjs'

const main = new URL('main.mjs', import.meta.url)
const WORKERS = 3
const ROUNDS = 2

const folder = mkdtempSync(join(tmpdir(), 'memlane-weights-'))
try {
  const file = join(folder, 'weights.bin')
  const bytes = randomBytes(3_333_331) // no share of three is as long as another
  writeFileSync(file, bytes)
  const result = JSON.parse(await output(main, '--file', file, '--workers', WORKERS, '--rounds', ROUNDS, '--json'))

  assert.equal(result.bytes, bytes.length)
  assert.equal(result.sha256, createHash('sha256').update(bytes).digest('hex'))
  assert.deepEqual(result.rows.map(({ way }) => way), ['memlane', 'node:http'])
  for (const row of result.rows) {
    assert.equal(row.verified, WORKERS * ROUNDS, `${row.way}: every load is the file`)
    assert.ok(row.ms > 0 && row.slice_ms > 0)
    if (process.platform === 'linux') assert.ok(row.worker_mib >= bytes.length / 2 ** 20, `${row.way}: a worker has the whole file`)
  }
  console.log(`${WORKERS * ROUNDS} loads and a slice by each way, every SHA-256 as it should be`)

  const { code, stderr } = await failure(main, '--file', join(folder, 'nobody.bin'))
  assert.equal(code, 1)
  assert.match(stderr, /^weights: ENOENT[^\n]+nobody\.bin'\n$/)
  console.log('a file that is not there is one line')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
