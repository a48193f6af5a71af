/**
 * The decode process. It has the pool of blocks, and a block table for each slot, which says where in the pool the blocks of the
 * slot's sequence go. A sequence is whole when the message of its slot comes: its blocks arrive without any JavaScript here.
 */
import { parseArgs } from 'node:util'

import { TcpEndpoint } from 'memlane'

import { percentile, sort } from '../../bench/stats.mjs'
import { number } from '../../bench/support/table.mjs'
import '../support/complaints.mjs'
import { isFilled, shuffled } from './model.mjs'
import { BYE, ENTRY_WORDS, HELLO, SPARE_BLOCKS } from './protocol.mjs'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '7410' },
    slots: { type: 'string', default: '4' }, // sequences that may be on their way or in use at a time
    blocks: { type: 'string', default: '64' }, // of a sequence
    'block-kib': { type: 'string', default: '64' }, // 16 tokens of 4 KiB, as one layer of an 8B model has them
  },
})
const slots = Number(values.slots)
const blocks = Number(values.blocks)
const words = Number(values['block-kib']) * 256
const pool = slots * blocks + SPARE_BLOCKS

const endpoint = await TcpEndpoint.listen({ port: Number(values.port) })
const kv = endpoint.alloc('kv', { dtype: 'uint32', shape: [pool, words], access: 'write' }).typed()
const tables = endpoint.alloc('tables', { dtype: 'uint32', shape: [slots, blocks], access: 'read' }).typed()
const entries = endpoint.alloc('entries', { dtype: 'uint64', shape: [slots, ENTRY_WORDS], access: 'write' }).typed()
const order = shuffled(pool)
tables.set(order.subarray(0, slots * blocks))
console.log(`decode: tcp://127.0.0.1:${endpoint.port}`)

const handOvers = []
let verified = 0
let prefill
for await (const { tag, data } of endpoint.messages()) {
  const now = process.hrtime.bigint()
  if (tag === BYE) break
  if (tag === HELLO) prefill = await endpoint.connect(JSON.parse(Buffer.from(data).toString()))
  else {
    const [sequence, began] = entries.subarray(tag * ENTRY_WORDS, (tag + 1) * ENTRY_WORDS)
    handOvers.push(Number(now - began) / 1e6)
    verify(tag, Number(sequence))
    await prefill.send(new Uint8Array(0), { tag }) // the slot is free again
  }
}
for (const spare of order.subarray(slots * blocks)) {
  if (block(spare).some((word) => word !== 0)) throw new Error(`block ${spare} was written, which no slot has`)
}
const ordered = sort(handOvers)
console.log(`decode: ${number(verified)} blocks are what prefill computed; ${SPARE_BLOCKS} of no slot are as they were`)
console.log(`decode: from prefill's first byte to this JavaScript p50 ${ms(0.5)}, p99 ${ms(0.99)} (two processes' clocks, of one machine)`)
await endpoint.close()

/** Prefill writes a slot again only when it was given back: nothing in it changes while it is looked at. */
function verify(slot, sequence) {
  for (const [logical, physical] of tables.subarray(slot * blocks, (slot + 1) * blocks).entries()) {
    if (!isFilled(block(physical), sequence, logical)) {
      throw new Error(`block ${logical} of sequence ${sequence}, block ${physical} of the pool, is not what prefill computed`)
    }
    verified++
  }
}

function block(index) {
  return kv.subarray(index * words, (index + 1) * words)
}

function ms(quantile) {
  return `${number(percentile(ordered, quantile))} ms`
}
