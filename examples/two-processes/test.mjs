import assert from 'node:assert/strict'

import { output } from '../support/expect.mjs'
import { firstLine, start } from '../support/processes.mjs'

const target = start(new URL('target.mjs', import.meta.url), 0)
try {
  const [, port] = /^serving 67108864 bytes on port (\d+)$/.exec(await firstLine(target)) ?? []
  assert.ok(port, 'the target says its port')
  assert.equal(await output(new URL('initiator.mjs', import.meta.url), port), '16777216 weights, the last is 0.5\n')
  console.log('64 MiB read from a process whose JavaScript answers nobody')
} finally {
  target.kill('SIGKILL') // it hears nothing else
}
