import { once } from 'node:events'
import { Redis } from 'ioredis'
import type { RedisClient } from 'memlane/redis'
import { createClient } from 'redis'

/** A client of either library, with the commands that tests use themselves. */
export interface Client {
  client: RedisClient
  get(key: string): Promise<string | null>
  ttl(key: string): Promise<number>
  set(key: string, value: string): Promise<unknown>
  keys(): Promise<string[]>
  close(): void
}

const RECONNECT_MS = 20

/** The libraries that memlane/redis works with, by their names. */
export const CLIENTS: Record<'ioredis' | 'redis', (port: number) => Promise<Client>> = {
  async ioredis(port) {
    const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => RECONNECT_MS, maxRetriesPerRequest: null })
    client.on('error', () => undefined)
    await once(client, 'ready')
    return {
      client,
      get: (key) => client.get(key),
      ttl: (key) => client.pttl(key),
      set: (key, value) => client.set(key, value),
      keys: () => client.keys('*'),
      close: () => client.disconnect(),
    }
  },
  async redis(port) {
    const client = createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: () => RECONNECT_MS } })
    client.on('error', () => undefined)
    await client.connect()
    return {
      client,
      get: (key) => client.get(key),
      ttl: (key) => client.pTTL(key),
      set: (key, value) => client.set(key, value),
      keys: () => client.keys('*'),
      close: () => client.destroy(),
    }
  },
}
