/**
 * The target: publishes a model's bytes in a region, takes writes in another, answers a message. Then its JavaScript
 * has nothing more to do with being read, and may block. The same bytes are offered by the two other transports.
 */
import { createHash } from 'node:crypto'

import { TcpEndpoint } from 'memlane'

import * as ipc from '../../bench/contenders/ipc.mjs'
import * as nodeNet from '../../bench/contenders/node-net.mjs'
import { startBursts } from '../../bench/support/burst.mjs'
import { answerCalls } from '../../bench/support/channel.mjs'
import { loadModel } from './model.mjs'

const REQUEST = 1
const REPLY = 2

let inbox = null
let stopBursts = null

answerCalls(process, {
  async serve({ file, tamper }) {
    const { name, bytes, about } = loadModel(file)
    const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })

    const model = endpoint.alloc('model', bytes.length, { access: 'read' })
    const memory = new Uint8Array(model.buffer)
    memory.set(bytes)
    inbox = endpoint.alloc('inbox', bytes.length, { access: 'write' })
    answerMessage(endpoint, sha256(bytes))
    if (tamper) memory[bytes.length >> 1] ^= 1

    const net = await nodeNet.serve({ memory })
    await ipc.serve({ memory, channel: process })
    return { name, about, bytes: bytes.length, info: endpoint.endpointInfo(), netAddress: net.address }
  },
  inboxHash: () => sha256(new Uint8Array(inbox.buffer)),
  busy(wanted) {
    stopBursts?.()
    stopBursts = wanted ? startBursts() : null
  },
})

process.on('disconnect', () => process.exit())

/** The question brings the endpoint info of whoever asks, so the answer can be sent to an endpoint never heard of. */
async function answerMessage(endpoint, hash) {
  const { data } = await endpoint.recv(new Uint8Array(64 << 10), { tag: REQUEST })
  const { replyTo } = JSON.parse(Buffer.from(data).toString())
  const peer = await endpoint.connect(replyTo)
  await peer.send(Buffer.from(JSON.stringify({ sha256: hash })), { tag: REPLY })
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}
