import assert from 'node:assert/strict'
import { once } from 'node:events'

import { output } from '../support/expect.mjs'
import { lines, start } from '../support/processes.mjs'

const SEQUENCES = 25 // more than there are slots, and no multiple of them
const decode = start(new URL('decode.mjs', import.meta.url), '--port', 0, '--slots', 3, '--blocks', 7, '--block-kib', 16)
const said = lines(decode)
const ended = once(decode, 'exit')
try {
  const url = /^decode: (tcp:\S+)$/.exec((await said.next()).value)[1]
  const prefill = await output(new URL('prefill.mjs', import.meta.url), url, '--sequences', SEQUENCES)
  assert.match(prefill, /^prefill: 25 sequences of 7 blocks of 16 KiB, 3 slots$/m)
  assert.match(prefill, /^prefill: [\d,.]+ blocks\/s, [\d.]+ GB\/s /m)

  const verdict = (await said.next()).value
  assert.equal(verdict, 'decode: 175 blocks are what prefill computed; 16 of no slot are as they were')
  assert.match((await said.next()).value, /^decode: from prefill's first byte .* p50 [\d.]+ ms, p99 [\d.]+ ms/)
  assert.deepEqual(await ended, [0, null])
  console.log(verdict)
} finally {
  decode.kill('SIGKILL')
}
