import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { TcpContext, TcpEndpoint } from 'memlane'
import { endpoint, fill, thrown, url } from './support/pair'
import { Silent } from './support/pair-silent'
import { withProc } from './support/sockets'

const threads = () => readdirSync('/proc/self/task').length

withProc('twenty endpoints of one context take no thread and no connection more than one', async (t) => {
  const context = new TcpContext({ ioThreads: 2 })
  t.teardown(() => context.close())
  // Of a context of its own, so that its connections are those of the initiators alone.
  const target = await endpoint(t, { maxConnections: 100 })
  target.alloc('x', 8, { access: 'read' })
  const reading = async () => {
    const initiator = await TcpEndpoint.listen({ context })
    const peer = await initiator.connect(url(target))
    return { peer, read: await peer.read('x') }
  }
  const first = await reading()
  // The pools of libuv and V8 start when they are first needed; what counts is what an endpoint adds to them.
  const before = threads()
  const others = await Promise.all(Array.from({ length: 19 }, reading))
  t.is(threads(), before)
  t.true([first, ...others].every(({ read }) => read.byteLength === 8))
  t.like(target.stats().connections, { accepted: 1, open: 1 })
})

test('endpoints that name no context share one, in workers too; limits make one of their own', async (t) => {
  const target = await endpoint(t, { maxConnections: 100 })
  target.alloc('x', 8, { access: 'read' })
  for (let index = 0; index < 3; index++) await (await (await endpoint(t)).connect(url(target))).read('x')
  t.is(target.stats().connections.accepted, 1)
  const program = `
    const { TcpEndpoint } = require('memlane')
    const { parentPort, workerData } = require('node:worker_threads')
    TcpEndpoint.listen().then(async (endpoint) => {
      const peer = await endpoint.connect(workerData)
      parentPort.postMessage((await peer.read('x')).byteLength)
      await endpoint.close()
    })`
  const worker = new Worker(program, { eval: true, workerData: url(target) })
  t.is(await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject)), 8)
  t.is(target.stats().connections.accepted, 1)
  await (await (await endpoint(t, { drainMs: 2000 })).connect(url(target))).read('x')
  t.is(target.stats().connections.accepted, 2)
})

test('the limits of a context are those of its endpoints', async (t) => {
  const context = new TcpContext({ lanesPerPeer: 3, idleTimeoutMs: 4321n, maxConnections: undefined } as object)
  t.teardown(() => context.close())
  for (let index = 0; index < 2; index++) {
    const { limits } = (await TcpEndpoint.listen({ context })).stats()
    t.like(limits, { ioThreads: 1, lanesPerPeer: 3, idleTimeoutMs: 4321, maxConnections: 1024 })
  }
})

test('what is no limit, or out of its range, is refused with option, range and unit', (t) => {
  const made = (limits: unknown) => thrown(() => new TcpContext(limits as object))
  t.like(made({ lanes: 1 }), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  t.regex(made({ lanes: 1 }).message, /"lanes".*lanesPerPeer/)
  t.like(made({ host: '127.0.0.1' }), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  t.like(made(null), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  t.like(made({ ioThreads: '1' }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  const ranges: [object, string][] = [
    [{ ioThreads: 65 }, 'ioThreads must be an integer from 1 to 64 threads; got 65'],
    [{ lanesPerPeer: 0 }, 'lanesPerPeer must be an integer from 1 to 16 connections; got 0'],
    [{ connectTimeoutMs: 0 }, 'connectTimeoutMs must be an integer from 1 to 86400000 milliseconds; got 0'],
    [{ maxUnexpectedBytes: 2 ** 40 }, 'maxUnexpectedBytes must be an integer from 0 to 1073741824 bytes; got 1099511627776'],
  ]
  for (const [limits, message] of ranges) t.like(made(limits), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message })
})

test('limits beside a context, and what is no context, are refused', async (t) => {
  const context = new TcpContext()
  t.teardown(() => context.close())
  const error = thrown(() => TcpEndpoint.listen({ context, maxConnections: 3 }))
  t.like(error, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  t.is(error.message, 'maxConnections belongs to the context: set it there, new TcpContext({ maxConnections })')
  for (const wrong of [null, {}, 1, 'context', TcpContext]) {
    t.like(thrown(() => TcpEndpoint.listen({ context: wrong } as object)), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  }
  const owner = await TcpEndpoint.listen({ context, maxConnections: undefined } as object)
  t.false(owner.closed)
})

test('closing a context closes its endpoints with all that is theirs, and no others', async (t) => {
  const context = new TcpContext()
  const other = await endpoint(t)
  const [one, two] = await Promise.all([TcpEndpoint.listen({ context }), TcpEndpoint.listen({ context })])
  const region = one.alloc('x', 8, { access: 'read' })
  const peer = await two.connect(url(one))
  const receive = one.recv(new Uint8Array(8))
  t.false(context.closed)
  const closing = context.close()
  t.true(context.closed)
  t.is(context.close(), closing)
  t.is(context[Symbol.asyncDispose](), closing)
  t.deepEqual([one.closed, two.closed, region.closed, peer.closed, other.closed], [true, true, true, true, false])
  await closing
  await t.throwsAsync(receive.wait(), { code: 'ERR_CLOSED' })
  await one.close()
  t.like(thrown(() => TcpEndpoint.listen({ context })), { name: 'MemlaneError', code: 'ERR_CLOSED' })
  t.is((await endpoint(t, { port: one.port })).port, one.port, 'the port is free when it is closed')
})

test('an endpoint may close before its context, and under way of being made', async (t) => {
  const context = new TcpContext()
  const one = await TcpEndpoint.listen({ context })
  await one.close()
  const listening = TcpEndpoint.listen({ context })
  const [outcome] = await Promise.all([listening.then(String, (error: { code: string }) => error.code), context.close()])
  t.is(outcome, 'ERR_CLOSED')
  t.is((await endpoint(t, { context: new TcpContext(), port: one.port })).port, one.port)
})

test('closing one peer leaves the operations of another alone, on the same connection', async (t) => {
  const silent = await Silent.start(t)
  const context = new TcpContext()
  t.teardown(() => context.close())
  const [one, two] = await Promise.all([TcpEndpoint.listen({ context }), TcpEndpoint.listen({ context })])
  const info = silent.info({ x: { addr: 4096, length: 8 } })
  const leaving = await one.connect(info)
  const staying = await two.connect(info)
  const given = leaving.read('x')
  const kept = staying.read('x')
  await silent.heard(2 * 17)
  t.is(silent.connections, 1)
  await leaving.close()
  await t.throwsAsync(given.wait(), { code: 'ERR_CLOSED' })
  t.is(kept.waitSync(0), null)
  const bytes = new Uint8Array(16)
  fill(bytes.buffer, Uint8Array.from({ length: 16 }, (_, index) => index))
  silent.say(bytes)
  t.deepEqual([...(await kept)], [8, 9, 10, 11, 12, 13, 14, 15])
  t.is(silent.connections, 1)
})

withProc('a process without descriptors hears ERR_LIMIT and the words of the system, and listens when it has some', (t) => {
  const program = `
    const { MemlaneError, TcpContext, TcpEndpoint } = require('memlane')
    const { closeSync, openSync } = require('node:fs')
    // What is loaded late is loaded before there is nothing left to load it with.
    console.log(new MemlaneError('', {}).name)
    const taken = []
    try { for (;;) taken.push(openSync('/dev/null')) } catch {}
    for (const make of [() => new TcpContext(), () => TcpEndpoint.listen()]) {
      try { make() } catch ({ name, code, origin, retryable, message }) { console.log(name, code, origin, retryable, message) }
    }
    void (async () => {
      for (;;) {
        closeSync(taken.pop())
        try {
          const endpoint = await TcpEndpoint.listen()
          console.log(endpoint.port > 0)
          return endpoint.close()
        } catch ({ code, retryable, message }) {
          // One after the other is missing: the thread's, then the socket.
          if (code !== 'ERR_LIMIT' || !retryable || !message.includes('Too many open files')) console.log(code, message)
        }
      }
    })()`
  const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, '-e', program], { encoding: 'utf8', timeout: 30_000 })
  const refused = 'MemlaneError ERR_LIMIT local true a limit was reached: no I/O thread: Too many open files (os error 24)'
  t.is(stdout, `MemlaneError\n${refused}\n${refused}\ntrue\n`, stderr)
})
