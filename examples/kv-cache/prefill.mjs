/**
 * The prefill process. It computes the blocks of a sequence in memory of its own and writes them where decode's block table says,
 * all of a sequence as one batch, prepared once for each slot. Then it writes the slot's entry, and decode is told.
 */
import { parseArgs } from 'node:util'

import { TcpEndpoint } from 'memlane'

import { percentile, sort } from '../../bench/stats.mjs'
import { number } from '../../bench/support/table.mjs'
import '../support/complaints.mjs'
import { fill } from './model.mjs'
import { BYE, ENTRY_WORDS, HELLO } from './protocol.mjs'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { sequences: { type: 'string', default: '200' } } })
const sequences = Number(values.sequences)

const endpoint = await TcpEndpoint.listen()
const decode = await endpoint.connect(positionals[0] ?? 'tcp://127.0.0.1:7410')
await decode.send(Buffer.from(JSON.stringify(endpoint.endpointInfo())), { tag: HELLO })

const [, words] = decode.regions.get('kv').shape
const [slots, blocks] = decode.regions.get('tables').shape
const blockBytes = words * Uint32Array.BYTES_PER_ELEMENT
const { data: tables } = await decode.readTensor('tables')

// Here the blocks of a slot lie one behind the other; at decode they are wherever its table has them.
const local = endpoint.alloc('kv', { dtype: 'uint32', shape: [slots * blocks, words] })
const kv = local.typed()
const moves = Array.from({ length: slots }, (_, slot) => {
  const descriptors = new Float64Array(blocks * 3)
  for (let logical = 0; logical < blocks; logical++) {
    const index = slot * blocks + logical
    descriptors.set([index * blockBytes, tables[index] * blockBytes, blockBytes], logical * 3)
  }
  return decode.prepare('write', descriptors, { local, remote: 'kv' })
})

const free = Array.from({ length: slots }, () => Promise.resolve())
const handOvers = []
for (let sequence = 0; sequence < sequences; sequence++) {
  const slot = sequence % slots
  await free[slot]
  compute(slot, sequence)
  free[slot] = endpoint.recv(new Uint8Array(1), { tag: slot })

  const began = process.hrtime.bigint()
  await moves[slot].start()
  // Operations have no order among each other, so the batch is awaited before decode is told of it.
  const entry = BigUint64Array.of(BigInt(sequence), began)
  await decode.write('entries', entry, { remoteOffset: slot * ENTRY_WORDS * 8, notify: slot })
  handOvers.push(Number(process.hrtime.bigint() - began) / 1e6)
}
await Promise.all(free)
await decode.send(new Uint8Array(0), { tag: BYE })

const seconds = handOvers.reduce((sum, each) => sum + each, 0) / 1000
const moved = sequences * blocks
const ordered = sort(handOvers)
console.log(`prefill: ${sequences} sequences of ${blocks} blocks of ${blockBytes / 1024} KiB, ${slots} slots`)
console.log(`prefill: ${number(moved / seconds)} blocks/s, ${number((moved * blockBytes) / seconds / 1e9)} GB/s while blocks are moved`)
console.log(`prefill: a sequence is handed over in p50 ${ms(0.5)}, p99 ${ms(0.99)} (until decode has acknowledged the message)`)
await endpoint.close()

/** What would be the model. */
function compute(slot, sequence) {
  for (let logical = 0; logical < blocks; logical++) {
    const index = slot * blocks + logical
    fill(kv.subarray(index * words, (index + 1) * words), sequence, logical)
  }
}

function ms(quantile) {
  return `${number(percentile(ordered, quantile))} ms`
}
