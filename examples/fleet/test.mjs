import assert from 'node:assert/strict'

import { missingRedis } from '../../scripts/redis-server.mjs'
import { output, skip } from '../support/expect.mjs'

const missing = missingRedis()
if (missing !== undefined) skip(missing, 'MEMLANE_REDIS')

const text = await output(new URL('main.mjs', import.meta.url), '--json')
const events = text.trimEnd().split('\n').map((line) => JSON.parse(line))
const killed = events.findIndex((event) => event.killed !== undefined)
const before = events.slice(0, killed)
const after = events.slice(killed + 1)
const trainer1 = { from: before.find(ofTrainer1), to: after.find(ofTrainer1) }
assert.notEqual(trainer1.from.listening, trainer1.to.listening, 'it came back at another port')

for (const member of ['trainer-0', 'trainer-2']) {
  const of = (list, key) => list.filter((event) => event.member === member && event[key] === 'trainer-1').map(({ port }) => port)
  assert.deepEqual(of(before, 'found'), [trainer1.from.listening], `${member} found it`)
  assert.deepEqual(of(after, 'lost'), [trainer1.from.listening], `${member} lost it, once`)
  assert.deepEqual(of(after, 'found'), [trainer1.to.listening], `${member} found it again where it is now`)
  assert.deepEqual(events.filter(({ lost }) => lost === member), [], `nobody lost ${member}`)
}
console.log(`trainer-1 killed on port ${trainer1.from.listening}, found again on port ${trainer1.to.listening} by both others`)

function ofTrainer1({ member, listening }) {
  return member === 'trainer-1' && listening !== undefined
}
