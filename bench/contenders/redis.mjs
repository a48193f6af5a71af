/**
 * ioredis and Debian's redis-server: the memory is one string, read by GETRANGE and written by SETRANGE. The server runs
 * beside the target's Node process on the same core and needs none of its JavaScript.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'

import { startPair } from '../support/pair.mjs'
import { freePort } from '../support/port.mjs'
import { debianProgram } from '../support/provision.mjs'

export const name = 'ioredis, redis-server'

export const setup = () => debianProgram('redis-server', 'redis-server')

export const version = () => {
  const server = /v=(\S+)/.exec(spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout)?.[1]
  return `ioredis ${require('ioredis/package.json').version}, redis-server ${server}`
}

export const start = (options) => startPair(import.meta.url, options)

const require = createRequire(import.meta.url)
const KEY = 'bench'
const PATIENCE_MS = 10_000

/**
 * Ends the server when its input does, which also happens when the process that started it is killed. A terminal that closes
 * must not end the guard alone: redis-server takes no notice of it.
 */
const GUARD = 'trap "" HUP INT; redis-server "$@" < /dev/null & read -r _; kill $!; wait'

/** Runs in the target, whose `memory` is only what the string is filled from and compared with. */
export async function serve({ bytes }) {
  const port = await freePort()
  const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--loglevel', 'warning']
  const guard = spawn('sh', ['-c', GUARD, 'sh', ...options.map(String)], { stdio: ['pipe', 'ignore', 'inherit'] })
  const redis = await connected(port)
  const memory = Buffer.alloc(bytes)
  return {
    address: port,
    memory,
    connections: () => 1,
    publish: () => redis.set(KEY, memory),
    fetch: async () => void (await redis.getBuffer(KEY)).copy(memory),
    async cpu() {
      const info = await redis.info('cpu')
      return [...info.matchAll(/^used_cpu_(?:user|sys):([\d.]+)/gm)].reduce((sum, [, seconds]) => sum + Number(seconds), 0)
    },
    async close() {
      redis.disconnect()
      guard.stdin.end()
    },
  }
}

/** Runs in the initiator. */
export async function dial({ address, bytes }) {
  const redis = await connected(address)
  const memory = Buffer.alloc(bytes)
  const part = (offset, length) => memory.subarray(offset, offset + length)
  return {
    memory,
    async read(offset, length) {
      const body = await redis.getrangeBuffer(KEY, offset, offset + length - 1)
      return body.copy(memory, offset)
    },
    write: (offset, length) => redis.setrange(KEY, offset, part(offset, length)),
    batch: (op, offsets, length) => async () => {
      const pipeline = redis.pipeline()
      for (const offset of offsets) {
        if (op === 'read') pipeline.getrangeBuffer(KEY, offset, offset + length - 1)
        else pipeline.setrange(KEY, offset, part(offset, length))
      }
      const results = await pipeline.exec()
      for (const [index, [error, body]] of results.entries()) {
        if (error) throw error
        if (op === 'read') body.copy(memory, offsets[index])
      }
    },
    close: async () => redis.disconnect(),
  }
}

async function connected(port) {
  const { Redis } = require('ioredis')
  // The commands of a tick leave together, as ioredis recommends for many small ones.
  const redis = new Redis({ host: '127.0.0.1', port, enableAutoPipelining: true, retryStrategy: () => 50 })
  redis.on('error', () => {})
  const timer = setTimeout(() => redis.disconnect(), PATIENCE_MS)
  try {
    await redis.ping()
    return redis
  } catch {
    throw new Error(`redis-server did not answer within ${PATIENCE_MS / 1000} s`)
  } finally {
    clearTimeout(timer)
  }
}
