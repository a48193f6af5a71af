/**
 * `REDIS_URL=redis://… node member.mjs NAME OTHER…`: one process of a fleet. It announces itself under its name, finds the others under
 * theirs, and reads what they publish again and again. When one is gone it waits until somebody has that name anew.
 */
import { setTimeout as delay } from 'node:timers/promises'

import { Redis } from 'ioredis'
import { TcpEndpoint } from 'memlane'
import { RedisDirectory } from 'memlane/redis'

import '../support/complaints.mjs'

const LOOK_EVERY_MS = 20

const [name, ...others] = process.argv.slice(2)
const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379').on('error', () => {}) // it connects anew by itself
const directory = new RedisDirectory(redis, { prefix: 'fleet:', ttlMs: 2000, onError: ({ message }) => tell({ trouble: message }) })

const endpoint = await TcpEndpoint.listen({ directory })
const state = endpoint.alloc('state', { dtype: 'uint32', shape: [2], access: 'read' }).typed()
state[0] = process.pid
setInterval(() => state[1]++, 10) // its work
// Not by `listen({ name })`: whoever waits for the name would connect at once, maybe before there is anything to read.
await directory.announce(name, endpoint.endpointInfo())
tell({ listening: endpoint.port })
for (const other of others) void follow(other)

async function follow(other) {
  for (;;) {
    const peer = await endpoint.connect({ name: other }, { timeoutMs: 0 })
    try {
      const { data } = await peer.readTensor('state')
      tell({ found: other, port: peer.port, pid: data[0] })
      for (;;) {
        await delay(LOOK_EVERY_MS)
        await peer.read('state', { into: data, timeoutMs: 1000 })
      }
    } catch (error) {
      if (!error.retryable) throw error
      tell({ lost: other, port: peer.port, code: error.code })
    } finally {
      await peer.close() // it belongs to the old address; the name may lead elsewhere
    }
  }
}

/** To whoever started this, or to the terminal. */
function tell(event) {
  if (process.send === undefined) console.log(name, JSON.stringify(event))
  else process.send({ member: name, ...event })
}

process.on('disconnect', () => process.exit())
