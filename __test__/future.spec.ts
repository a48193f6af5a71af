import { AsyncLocalStorage } from 'node:async_hooks'
import test, { type ExecutionContext } from 'ava'
import { MemlaneError, type Peer, TcpContext, TcpEndpoint, TransferFuture } from 'memlane'
import { Child } from './support/child'
import { counting, endpoint, fill, pair, same, thrown, url } from './support/pair'
import { Silent } from './support/pair-silent'

const HEADER_BYTES = 17
const REGION = { addr: 0x1000_0000, length: 64 }

/** A peer that takes requests and answers none, on the wire that needs no handshake. */
async function mute(t: ExecutionContext): Promise<{ silent: Silent; peer: Peer }> {
  const silent = await Silent.start(t)
  const initiator = await endpoint(t)
  return { silent, peer: await initiator.connect(silent.info({ kv: REGION })) }
}

test('a future is awaited like a promise, any number of times', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('x', 3, { access: 'read' })
  const read = peer.read('x')
  t.true(read instanceof TransferFuture)
  const first = await read
  t.is(await read, first)
  t.is(await read.wait(), first)
  t.is(await read.waitFor(0), first)
  t.is(read.waitSync(), first)
  t.is(read.wait(), read.wait(), 'one promise')
  t.is(await read.then((bytes) => bytes.byteLength), 3)
  t.deepEqual(await Promise.all([read, peer.read('x', { length: 1 }).then((bytes) => bytes.byteLength)]), [first, 1])
})

test('a failed future fails for everybody who looks, each time', async (t) => {
  const { peer } = await pair(t)
  const read = peer.read('nowhere')
  const error = await t.throwsAsync(read.wait(), { instanceOf: MemlaneError })
  t.is(await t.throwsAsync(async () => read), error)
  t.is(await t.throwsAsync(read.waitFor(1)), error)
  t.is(thrown(() => read.waitSync()), error)
  t.is(await read.then(undefined, (reason) => reason), error)
})

test('callbacks run in the order of the calls, where they were asked for, and never before the call has returned', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('x', 3, { access: 'read' })
  await peer.refresh()
  const context = new AsyncLocalStorage<number>()
  const seen: [string, number | undefined][] = []
  const saw = (what: string) => () => seen.push([what, context.getStore()])
  const awaiting = async (future: PromiseLike<unknown>) => {
    await future
    saw('await')()
  }
  const read = peer.read('x')
  const asked: Promise<unknown>[] = [
    context.run(1, () => read.then(saw('then'))),
    context.run(2, () => awaiting(read)),
    context.run(3, () => read.finally(saw('finally'))),
  ]
  // Completes what has ended, in this very stack.
  read.waitSync()
  context.run(4, () => asked.push(read.then(saw('late'))))
  t.deepEqual(seen, [])
  await Promise.all(asked)
  t.deepEqual(seen, [['then', 1], ['await', 2], ['finally', 3], ['late', 4]])
})

test('what a future gives is promises, and it is one', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('x', 3, { access: 'read' })
  const read = peer.read('x')
  t.true(read instanceof Promise)
  t.is(Object.prototype.toString.call(read), '[object TransferFuture]')
  for (const made of [read.then((bytes) => bytes), read.catch(() => undefined), read.finally(() => undefined)]) {
    t.is(Object.getPrototypeOf(made), Promise.prototype)
    t.is((await made)?.byteLength, 3)
  }
  t.is((await Promise.race([read, new Promise<never>(() => undefined)])).byteLength, 3)
})

test('waitFor gives null while the operation goes on, and then its result', async (t) => {
  const { target, peer } = await pair(t)
  const receive = target.recv(new Uint8Array(8))
  t.is(await receive.waitFor(0.3), null)
  t.is(await receive.waitFor(0), null)
  const [waited] = await Promise.all([receive.waitFor(30), peer.send(Uint8Array.of(1, 2))])
  t.is(waited?.bytes, 2)
  t.is((await receive.waitFor(0))?.bytes, 2)
})

test('several waits on one future each keep their own time', async (t) => {
  const { target, peer } = await pair(t)
  const receive = target.recv(new Uint8Array(8))
  const long = receive.waitFor(30)
  const promise = receive.wait()
  t.deepEqual(await Promise.all([receive.waitFor(0.01), receive.waitFor(0.02)]), [null, null])
  await peer.send(Uint8Array.of(1))
  t.is((await long)?.bytes, 1)
  t.is((await promise).bytes, 1)
})

test('waitFor fails with what the operation fails with', async (t) => {
  const { peer } = await mute(t)
  const read = peer.read('kv')
  const waited = read.waitFor(30)
  t.is(await read.waitFor(0.001), null)
  read.cancel()
  await t.throwsAsync(waited, { code: 'ERR_ABORTED' })
})

test('waitSync blocks until the result is there, on the main thread too', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const content = counting(1 << 20)
  fill(target.alloc('x', 1 << 20, { access: 'read' }).buffer, content)
  const scratch = initiator.alloc('scratch', 1 << 20)
  // The name is not known yet: two round trips, both without a turn of the event loop.
  t.is(peer.read('x', { into: scratch }).waitSync(30), 1 << 20)
  same(t, scratch.copyOut(), content)
  t.deepEqual(peer.read('x', { remoteOffset: 5, length: 3 }).waitSync(), content.slice(5, 8))
  t.is(thrown(() => peer.read('nowhere').waitSync()).code, 'ERR_REGION_NOT_FOUND')
})

test('waitSync gives null when its time is over, and the operation goes on', async (t) => {
  const { target, peer } = await pair(t)
  const receive = target.recv(new Uint8Array(8))
  t.is(receive.waitSync(0), null)
  t.is(receive.waitSync(0.05), null)
  const sent = peer.send(Uint8Array.of(1, 2, 3))
  t.is(receive.waitSync(30)?.bytes, 3)
  t.is(await sent, 3)
})

test('waitSync completes what ended meanwhile, however much it is', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('x', 8, { access: 'read' })
  const scratch = initiator.alloc('scratch', 8)
  await peer.refresh()
  const reads = Array.from({ length: 3000 }, () => peer.read('x', { into: scratch }))
  t.is(reads.at(-1)?.waitSync(30), 8)
  t.is(reads[0]?.waitSync(0), 8)
  t.is((await Promise.all(reads)).length, 3000)
})

test('a worker thread waits for its operations without an event loop', async (t) => {
  const child = Child.start(t, 'worker', ['wait-sync'])
  t.like(await child.ended, { code: 0, signal: null })
  t.deepEqual(await child.next(), { read: 7, timedOut: null, received: 'hello', failed: 'ERR_REGION_NOT_FOUND' })
})

test('a posted receive that is cancelled fails with ERR_ABORTED and takes no message', async (t) => {
  const { target, peer } = await pair(t)
  const first = target.recv(new Uint8Array(8))
  const second = target.recv(new Uint8Array(8))
  first.cancel()
  t.like(await t.throwsAsync(first.wait()), { name: 'MemlaneError', code: 'ERR_ABORTED', origin: 'local', operation: 'recv' })
  await peer.send(Uint8Array.of(42))
  t.is((await second).data[0], 42)
  first.cancel()
  second.cancel()
  t.is((await second).bytes, 1, 'what has ended stays as it ended')
})

test('an operation that waits for its answer is cancelled, and the late answer reaches nobody', async (t) => {
  const { silent, peer } = await mute(t)
  const first = peer.read('kv', { length: 4 })
  await silent.heard(HEADER_BYTES)
  first.cancel()
  t.like(await t.throwsAsync(first.wait()), { code: 'ERR_ABORTED', operation: 'read', peer: `127.0.0.1:${silent.port}` })
  const second = peer.read('kv', { remoteOffset: 8, length: 4 })
  await silent.heard(2 * HEADER_BYTES)
  if (silent.connections === 1) silent.say(Uint8Array.of(1, 1, 1, 1))
  silent.say(Uint8Array.of(2, 2, 2, 2), silent.connections - 1)
  t.deepEqual([...(await second)], [2, 2, 2, 2])
})

test('an operation whose body is half written is cancelled', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const size = 64 << 20
  target.alloc('inbox', size, { access: 'write' })
  const local = initiator.alloc('local', size)
  await peer.refresh()
  const write = peer.write('inbox', local)
  write.cancel()
  const outcome = await write.wait().then(
    (bytes) => bytes,
    (error: { code: string }) => error.code
  )
  t.true(outcome === 'ERR_ABORTED' || outcome === size, String(outcome))
  t.is(await peer.write('inbox', new Uint8Array(8)), 8, 'the peer goes on')
})

test('an operation that waits for its connection is cancelled', async (t) => {
  const silent = await Silent.start(t)
  const initiator = await endpoint(t)
  const connect = initiator.connect(silent.url)
  t.is(await connect.waitFor(0.01), null)
  connect.cancel()
  t.like(await t.throwsAsync(connect.wait()), { code: 'ERR_ABORTED', operation: 'connect' })
})

test('a read that asks for its name first is cancelled', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('late', 8, { access: 'read' })
  const read = peer.read('late')
  read.cancel()
  await t.throwsAsync(read.wait(), { code: 'ERR_ABORTED' })
  t.is((await peer.read('late')).byteLength, 8)
})

test('a signal cancels a pending operation and is the cause of its failure', async (t) => {
  const { peer } = await mute(t)
  const { target } = await pair(t)
  const reason = new Error('enough')
  const controller = new AbortController()
  const { signal } = controller
  const pending = [
    peer.read('kv', { signal }),
    peer.read('kv', { into: new Uint8Array(8), signal }),
    target.recv(new Uint8Array(8), { signal }),
  ]
  controller.abort(reason)
  for (const future of pending) {
    const error = await t.throwsAsync<MemlaneError>(async () => future)
    t.is(error?.code, 'ERR_ABORTED')
    t.is(error?.cause, reason)
  }
})

test('a signal may serve more operations than an event has listeners by default', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('x', 8, { access: 'read' })
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  const { signal } = new AbortController()
  await Promise.all(Array.from({ length: 100 }, () => peer.read('x', { signal })))
  await new Promise(setImmediate)
  t.deepEqual(warnings, [])
})

test('the deadline of an operation is kept when the peer says nothing', async (t) => {
  const { silent, peer } = await mute(t)
  const error = await t.throwsAsync(peer.read('kv', { timeoutMs: 50 }).wait())
  t.like(error, { code: 'ERR_TIMEOUT', operation: 'read', peer: `127.0.0.1:${silent.port}`, origin: 'local', retryable: true })
})

test('a failure that nobody looks at is silent while its future is held, and an unhandled rejection once it is dropped', async (t) => {
  const child = Child.start(t, 'dropped')
  const exit = await child.ended
  t.like(exit, { code: 0, signal: null }, exit.output)
  t.deepEqual(await child.next(), { held: [] })
  t.deepEqual(await child.next(), { dropped: ['ERR_REGION_NOT_FOUND'] })
  t.deepEqual(await child.next(), { looked: [] })
  t.deepEqual(await child.next(), { unhandled: 6 })
  t.deepEqual(await child.next(), { asked: [] })
})

test('a wait that is no time is refused at the call', async (t) => {
  const { target } = await pair(t)
  const receive = target.recv(new Uint8Array(8))
  for (const [seconds, name, code] of [
    ['1', 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [1n, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [null, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [-1, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [NaN, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [Infinity, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [2_147_484, 'RangeError', 'ERR_OUT_OF_RANGE'],
  ] as const) {
    t.like(thrown(() => receive.waitFor(seconds as number)), { name, code })
    t.like(thrown(() => receive.waitSync(seconds as number)), { name, code })
  }
})

test('a cancel ends its own operation and none that comes after it', async (t) => {
  // Every lane hears of a cancel, the busy ones late: by then the first has ended the operation, and the next one is under way.
  const context = new TcpContext({ ioThreads: 2, lanesPerPeer: 4 })
  t.teardown(() => context.close())
  const target = await endpoint(t)
  const initiator = await TcpEndpoint.listen({ context })
  target.alloc('x', 4 << 20, { access: 'read' })
  const into = initiator.alloc('into', 4 << 20)
  const peer = await initiator.connect(url(target))
  for (let round = 0; round < 100; round++) {
    const busy = Array.from({ length: 4 }, () => peer.read('x', { into }))
    const given = peer.read('x', { length: 8 })
    given.cancel()
    await given.wait().catch(() => undefined)
    t.is(await peer.read('x', { into }), 4 << 20)
    await Promise.all(busy)
  }
})
