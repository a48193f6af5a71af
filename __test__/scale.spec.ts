import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'ava'
import { root } from './support/error-table'

test('docs/scale.md says what the reports say', (t) => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'bench', 'scale', 'document.mjs'), '--check'], { encoding: 'utf8' })
  t.is(status, 0, stderr)
})
