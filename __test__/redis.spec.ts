import test from 'ava'
import { type EndpointInfo, MemlaneError, TcpEndpoint } from 'memlane'
import { type RedisClient, RedisDirectory, type RedisDirectoryOptions } from 'memlane/redis'
import { Child } from './support/child'
import { endpoint, thrown } from './support/pair'
import { eventually, RedisServer, withRedis } from './support/redis-server'

/** Short, for tests that wait for the end of it; others take a multiple, because a busy machine may well stand still for that long. */
const TTL_MS = 1000
const KEY = 'memlane:endpoint:trainer-0'
const name = 'trainer-0'

function stored({ host, port, memlane }: EndpointInfo): string {
  return JSON.stringify({ host, port, memlane })
}

withRedis('an endpoint is found by its name on another client, by a key of the documented layout', async (t, { redis, connect }) => {
  const target = await endpoint(t, { name, directory: new RedisDirectory(redis.client) })
  target.alloc('x', 8, { access: 'read' })
  t.deepEqual(await redis.keys(), [KEY])
  t.is(await redis.get(KEY), stored(target.endpointInfo()))
  const left = await redis.ttl(KEY)
  t.true(left > 10_000 && left <= 15_000, `it expires in ${left} ms`)

  const directory = new RedisDirectory((await connect()).client)
  const initiator = await endpoint(t, { directory })
  const peer = await initiator.connect({ name })
  t.is((await peer.read('x')).byteLength, 8, 'regions come by DESCRIBE')
  t.is(await directory.lookup('trainer-1'), undefined)
  await target.close()
  t.is(await redis.get(KEY), null)
})

withRedis('a prefix keeps fleets apart', async (t, { redis }) => {
  const ours = new RedisDirectory(redis.client, { prefix: 'a:' })
  const target = await endpoint(t, { name, directory: ours })
  t.deepEqual(await redis.keys(), [`a:endpoint:${name}`])
  t.like(await ours.lookup(name), { port: target.port })
  t.is(await new RedisDirectory(redis.client, { prefix: 'b:' }).lookup(name), undefined)
})

withRedis('a connect waits until another process announces the name', async (t, { server, kind, redis }) => {
  const initiator = await endpoint(t, { directory: new RedisDirectory(redis.client) })
  const connecting = initiator.connect({ name })
  t.is(await connecting.waitFor(0.05), null)
  await Child.start(t, 'redis', [String(server.port), kind, name, '15000', '6']).next()
  t.is((await (await connecting).read('which'))[0], 6)
})

withRedis('an announcement is renewed as long as its endpoint is open', async (t, { redis }) => {
  const target = await endpoint(t, { name, directory: new RedisDirectory(redis.client, { ttlMs: 3 * TTL_MS }) })
  let renewals = 0
  let before = await redis.ttl(KEY)
  await eventually('the third renewal', async () => {
    const left = await redis.ttl(KEY)
    if (left > before) renewals++
    before = left
    return renewals === 3
  })
  t.is(await redis.get(KEY), stored(target.endpointInfo()))
})

withRedis('the name of a process that was killed expires, and a new process is found under it', async (t, { server, kind, redis }) => {
  const announcer = (byte: number) => Child.start(t, 'redis', [String(server.port), kind, name, String(TTL_MS), String(byte)])
  const first = announcer(1)
  await first.next()
  const initiator = await endpoint(t, { directory: new RedisDirectory(redis.client) })
  t.is((await (await initiator.connect({ name })).read('which'))[0], 1)
  first.signal('SIGKILL')
  await first.ended
  await eventually('the end of the name', async () => (await redis.get(KEY)) === null)
  await t.throwsAsync(initiator.connect({ name }, { timeoutMs: 1000 }).wait(), { code: 'ERR_TIMEOUT', message: /"trainer-0"/ })
  await announcer(2).next()
  t.is((await (await initiator.connect({ name })).read('which'))[0], 2)
})

withRedis('a restarted process takes its name over at once, also while the old announcement has not expired', async (t, { server, kind, redis }) => {
  const announcer = (byte: number) => Child.start(t, 'redis', [String(server.port), kind, name, '60000', String(byte)])
  const first = announcer(1)
  await first.next()
  const initiator = await endpoint(t, { directory: new RedisDirectory(redis.client) })
  first.signal('SIGKILL')
  await first.ended
  // Begun while the dead process's announcement is all there is.
  const connecting = initiator.connect({ name })
  t.is(await connecting.waitFor(0.05), null)
  await announcer(2).next()
  t.is((await (await connecting).read('which'))[0], 2)
})

withRedis('the last announcement has the name; the old one notices, stops, and takes nothing away', async (t, { redis, connect }) => {
  const options: RedisDirectoryOptions = { ttlMs: 6 * TTL_MS }
  const old = await endpoint(t, { name, directory: new RedisDirectory(redis.client, options) })
  const taker = await endpoint(t, { name, directory: new RedisDirectory((await connect()).client, options) })
  await old.announcement?.lost
  t.is(await redis.get(KEY), stored(taker.endpointInfo()))
  await old.close()
  t.is(await redis.get(KEY), stored(taker.endpointInfo()))
  await taker.announcement?.close()
  t.is(await redis.get(KEY), null, 'and nobody renews it')
})

withRedis('an old announcement that closes before it noticed takes nothing away either', async (t, { redis }) => {
  const directory = new RedisDirectory(redis.client)
  const old = await endpoint(t, { name, directory })
  const taker = await endpoint(t, { name, directory })
  await old.close()
  t.is(await redis.get(KEY), stored(taker.endpointInfo()))
})

withRedis('a server that goes away is told of once, and announced to again when it is back', async (t, { server, redis, connect }) => {
  const errors: [MemlaneError, string][] = []
  let told: () => void = () => undefined
  const heard = new Promise<void>((resolve) => {
    told = resolve
  })
  const directory = new RedisDirectory(redis.client, {
    ttlMs: TTL_MS,
    timeoutMs: 2000,
    onError(error, about) {
      errors.push([error, about])
      told()
    },
  })
  const target = await endpoint(t, { name, directory })
  let lost = false
  void target.announcement?.lost.then(() => (lost = true))
  await server.stop()
  await heard
  t.like(errors[0]?.[0], { name: 'MemlaneError', code: 'ERR_DIRECTORY', operation: 'renew', retryable: true })
  t.is(errors[0]?.[1], name)

  const initiator = await endpoint(t, { directory })
  const failed = await t.throwsAsync(initiator.connect({ name }).wait(), { instanceOf: MemlaneError, message: /"trainer-0"/ })
  t.like(failed, { code: 'ERR_DIRECTORY', retryable: true })
  t.true(failed?.cause instanceof Error)
  const refused = await t.throwsAsync(TcpEndpoint.listen({ name: 'trainer-1', directory }), { instanceOf: MemlaneError })
  t.like(refused, { code: 'ERR_DIRECTORY' })

  await RedisServer.start(t, server.port)
  const seen = await connect()
  await eventually('the announcement', async () => (await seen.get(KEY)) === stored(target.endpointInfo()))
  t.is((await initiator.connect({ name })).port, target.port)
  t.is(errors.length, 1, 'one outage, one call')
  t.false(lost)
  t.deepEqual(await seen.keys(), [KEY], 'who failed to announce left nothing behind')
})

withRedis('an endpoint closes although its server is away', async (t, { server, redis }) => {
  const target = await endpoint(t, { name, directory: new RedisDirectory(redis.client, { timeoutMs: 2000 }) })
  await server.stop()
  await t.throwsAsync(target.announcement?.close() ?? Promise.resolve(), { code: 'ERR_DIRECTORY' })
  await target.close()
  t.true(target.closed)
})

withRedis('a lookup whose answer nobody waits for any more ends at the signal', async (t, { server, redis }) => {
  const directory = new RedisDirectory(redis.client)
  const reason = new Error('enough')
  await t.throwsAsync(directory.lookup(name, { signal: AbortSignal.abort(reason) }), { code: 'ERR_ABORTED' })
  await server.stop()
  const controller = new AbortController()
  const looking = directory.lookup(name, { signal: controller.signal })
  controller.abort(reason)
  const error = await t.throwsAsync(looking, { instanceOf: MemlaneError })
  t.is(error?.cause, reason)
})

withRedis('what somebody else stored under a name fails the connect with ERR_PROTOCOL', async (t, { redis }) => {
  const initiator = await endpoint(t, { directory: new RedisDirectory(redis.client) })
  const wrong = ['', 'text', '[]', '{}', '{"host":"127.0.0.1","port":1,"port":2}', '{"host":"127.0.0.1","port":1,"memlane":{"version":2}}']
  for (const value of wrong) {
    await redis.set(KEY, value)
    await t.throwsAsync(initiator.connect({ name }).wait(), { code: 'ERR_PROTOCOL' }, value)
  }
})

test('what is no client, and options that make no sense, are refused at the call', (t) => {
  const client: RedisClient = { sendCommand: () => Promise.resolve(null) }
  for (const wrong of [undefined, null, 1, {}, { call: 1 }, 'redis://127.0.0.1']) {
    t.like(thrown(() => new RedisDirectory(wrong as unknown as RedisClient)), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  }
  const options: [object, string, string][] = [
    [{ prefx: 'a' }, 'TypeError', 'there is no option "prefx" here; the options are prefix, ttlMs, timeoutMs, onError'],
    [{ prefix: 1 }, 'TypeError', 'prefix must be a string; got 1'],
    [{ onError: 1 }, 'TypeError', 'onError must be a function; got 1'],
    [{ ttlMs: 99 }, 'RangeError', 'ttlMs must be an integer from 100 to 86400000 milliseconds; got 99'],
    [{ timeoutMs: 0 }, 'RangeError', 'timeoutMs must be an integer from 1 to 86400000 milliseconds; got 0'],
  ]
  for (const [wrong, kind, message] of options) {
    t.like(thrown(() => new RedisDirectory(client, wrong)), { name: kind, message })
  }
})
