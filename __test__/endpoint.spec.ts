import { dirname, join } from 'node:path'
import test from 'ava'
import { type EndpointInfo, type Limits, MemlaneError, Peer, TcpEndpoint } from 'memlane'
import { Child } from './support/child'
import { counting, endpoint, fill, pair, same, thrown, url } from './support/pair'
import { Silent } from './support/pair-silent'

test('an endpoint listens on this machine alone, on a port that the system picks', async (t) => {
  const owner = await endpoint(t)
  t.is(owner.host, '127.0.0.1')
  t.true(owner.port > 0 && owner.port < 65_536)
  t.false(owner.closed)
  const info = owner.endpointInfo()
  t.like(info, { host: owner.host, port: owner.port, mr_info: {} })
  t.is(info.memlane.version, 1)
  t.regex(info.memlane.instance, /^[0-9a-f]{32}$/)
  t.not((await endpoint(t)).endpointInfo().memlane.instance, info.memlane.instance)
})

test('a port that is taken, and an address that is not ours, fail with ERR_LISTEN', async (t) => {
  const owner = await endpoint(t)
  const taken = await t.throwsAsync(TcpEndpoint.listen({ port: owner.port }), { instanceOf: MemlaneError })
  t.like(taken, { code: 'ERR_LISTEN', origin: 'local', operation: 'listen' })
  await t.throwsAsync(TcpEndpoint.listen({ host: '192.0.2.1' }), { code: 'ERR_LISTEN' })
  const { port } = owner
  await owner.close()
  t.is((await endpoint(t, { port })).port, port, 'a closed endpoint leaves its port free')
})

test('a peer is reached by URL, by info, and by the JSON of its info', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t)
  fill(target.alloc('x', 3, { access: 'read' }).buffer, Uint8Array.of(1, 2, 3))
  const info = target.endpointInfo()
  const targets = [
    url(target),
    `${url(target)}/`,
    `TCP://127.0.0.1:${target.port}`,
    `tcp://localhost:${target.port}`,
    new URL(url(target)),
    { host: '127.0.0.1', port: target.port },
    JSON.stringify({ host: '127.0.0.1', port: target.port }),
    info,
    JSON.stringify(info),
    JSON.stringify(info, null, 2),
  ]
  for (const given of targets) {
    const peer = await initiator.connect(given)
    t.true(peer instanceof Peer)
    t.like(peer, { port: target.port, wire: 'native', closed: false }, String(given))
    t.deepEqual([...(await peer.read('x'))], [1, 2, 3], String(given))
  }
})

test('a peer on IPv6 is reached by its bracketed address', async (t) => {
  let target: TcpEndpoint
  try {
    target = await endpoint(t, { host: '::1' })
  } catch {
    t.pass('this machine has no IPv6 loopback')
    return
  }
  target.alloc('x', 3, { access: 'read' })
  const initiator = await endpoint(t)
  for (const given of [`tcp://[::1]:${target.port}`, target.endpointInfo()]) {
    const peer = await initiator.connect(given)
    t.is(peer.host, '::1')
    t.is((await peer.read('x')).byteLength, 3)
    const missing = await t.throwsAsync(peer.read('nowhere').wait())
    t.like(missing, { peer: `[::1]:${target.port}` })
  }
})

test('an info without "memlane" is spoken with on the legacy wire, by the regions that it lists', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t)
  const region = target.alloc('x', 8, { access: 'readwrite' })
  fill(region.buffer, counting(8))
  target.alloc('__proto__', 3, { access: 'read' })
  const { memlane: _, ...foreign } = JSON.parse(JSON.stringify(target.endpointInfo())) as EndpointInfo
  const peer = await initiator.connect(foreign)
  t.is(peer.wire, 'legacy')
  t.deepEqual([...peer.regions.keys()].sort(), ['__proto__', 'x'])
  t.deepEqual(await peer.read('x'), counting(8))
  t.is((await peer.read('__proto__')).byteLength, 3)
  t.is(await peer.write('x', Uint8Array.of(9)), 1)
  t.is((await peer.read('x'))[0], 9, 'one connection keeps the order of its requests')
  const receive = target.recv(new Uint8Array(8))
  t.is(await peer.send(Buffer.from('hi')), 2)
  t.like(await receive, { bytes: 2, tag: 0 })
  t.is(target.stats().connections.legacy > 0, true)

  target.alloc('later', 8, { access: 'read' })
  for (const call of [() => peer.read('later'), () => peer.write('later', new Uint8Array(1))]) {
    t.like(thrown(call), { name: 'MemlaneError', code: 'ERR_REGION_NOT_FOUND' }, 'this wire cannot ask')
  }
  t.deepEqual([...(await peer.refresh())], [...peer.regions])
})

test('the wire option overrules what the info says', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t)
  target.alloc('x', 3, { access: 'read' })
  const legacy = await initiator.connect(target.endpointInfo(), { wire: 'legacy' })
  t.is(legacy.wire, 'legacy')
  t.is((await legacy.read('x')).byteLength, 3)
  const named = await initiator.connect(url(target), { wire: 'legacy' })
  t.deepEqual([...named.regions], [], 'an address alone names no regions on this wire')
  const { memlane: _, ...foreign } = target.endpointInfo()
  const native = await initiator.connect(foreign, { wire: 'native' })
  t.is((await native.read('x')).byteLength, 3)
})

test('the regions of a native peer are those it has now, not those of an old info', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t)
  const old = target.alloc('old', 8, { access: 'read' })
  const info = target.endpointInfo()
  await old.close()
  target.alloc('new', 8, { access: 'read' })
  t.deepEqual([...(await initiator.connect(info)).regions.keys()], ['new'])
})

test('nobody there is ERR_CONNECT', async (t) => {
  const initiator = await endpoint(t)
  const gone = await TcpEndpoint.listen()
  await gone.close()
  const error = await t.throwsAsync(initiator.connect(url(gone)).wait(), { instanceOf: MemlaneError })
  t.like(error, { code: 'ERR_CONNECT', operation: 'connect', origin: 'transport', retryable: true, peer: `127.0.0.1:${gone.port}` })
  await t.throwsAsync(initiator.connect('tcp://no-such-host.invalid:7400').wait(), { code: 'ERR_CONNECT' })
})

test('a server that accepts and says nothing fails the handshake at its deadline', async (t) => {
  const silent = await Silent.start(t)
  const initiator = await endpoint(t, { handshakeTimeoutMs: 50 })
  const error = await t.throwsAsync(initiator.connect(silent.url).wait())
  t.like(error, { code: 'ERR_CONNECT', operation: 'connect', peer: `127.0.0.1:${silent.port}` })
})

test('connect keeps a deadline of its own, and a signal', async (t) => {
  const silent = await Silent.start(t)
  const initiator = await endpoint(t)
  const late = await t.throwsAsync(initiator.connect(silent.url, { timeoutMs: 50 }).wait())
  t.like(late, { code: 'ERR_TIMEOUT', operation: 'connect', peer: `127.0.0.1:${silent.port}` })
  const controller = new AbortController()
  const connect = initiator.connect(silent.url, { signal: controller.signal })
  const reason = new Error('enough')
  controller.abort(reason)
  const aborted = await t.throwsAsync(connect.wait())
  t.like(aborted, { code: 'ERR_ABORTED', operation: 'connect' })
  t.is(aborted?.cause, reason)
  const before = await t.throwsAsync(initiator.connect(silent.url, { signal: AbortSignal.abort(reason) }).wait())
  t.is(before?.cause, reason)
})

test('closing an endpoint ends all that belongs to it', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const region = target.alloc('x', 8, { access: 'read' })
  const scratch = initiator.alloc('scratch', 8)
  await peer.read('x')
  const closing = initiator.close()
  t.is(initiator.close(), closing, 'closing twice is closing once')
  t.true(initiator.closed && peer.closed && scratch.closed)
  const calls: [string, () => unknown][] = [
    ['endpointInfo', () => initiator.endpointInfo()],
    ['alloc', () => initiator.alloc('y', 8)],
    ['connect', () => initiator.connect(url(target))],
    ['recv', () => initiator.recv(new Uint8Array(8))],
    ['read', () => peer.read('x')],
    ['write', () => peer.write('x', new Uint8Array(8))],
    ['send', () => peer.send(new Uint8Array(8))],
    ['refresh', () => peer.refresh()],
    ['buffer', () => scratch.buffer],
  ]
  for (const [name, call] of calls) t.like(thrown(call), { name: 'MemlaneError', code: 'ERR_CLOSED', origin: 'local' }, name)
  await Promise.all([closing, peer.close(), scratch.close()])
  t.false(region.closed, 'and nothing that belongs to another')
  await target[Symbol.asyncDispose]()
  t.true(target.closed)
})

test('disposing of a peer closes it', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('x', 8, { access: 'read' })
  await peer[Symbol.asyncDispose]()
  t.true(peer.closed)
  t.like(thrown(() => peer.read('x')), { code: 'ERR_CLOSED' })
  t.is((await (await initiator.connect(url(target))).read('x')).byteLength, 8, 'and its endpoint goes on')
})

test('closing a peer fails its operations, and leaves the endpoint and other peers alone', async (t) => {
  const silent = await Silent.start(t)
  const { target, initiator, peer: other } = await pair(t)
  target.alloc('x', 8, { access: 'read' })
  const peer = await initiator.connect(silent.info({ kv: { addr: 1 << 20, length: 8 } }))
  const pending = [peer.read('kv'), peer.read('kv', { into: initiator.alloc('scratch', 8) })]
  const closing = peer.close()
  t.is(peer.close(), closing)
  t.true(peer.closed)
  for (const future of pending) {
    const error = await t.throwsAsync<MemlaneError>(async () => future)
    t.like(error, { code: 'ERR_CLOSED', operation: 'read', peer: `127.0.0.1:${silent.port}` })
  }
  await closing
  t.like(thrown(() => peer.read('kv')), { code: 'ERR_CLOSED' })
  t.is((await other.read('x')).byteLength, 8)
})

test('limits are kept as they were set, and stats tells them with the counters', async (t) => {
  const { target, initiator, peer } = await pair(t, { maxConnections: 7, idleTimeoutMs: 1234, maxOperationBytes: 2n ** 21n })
  t.like(target.stats().limits, { maxConnections: 7, idleTimeoutMs: 1234, maxOperationBytes: 1 << 21, drainMs: 2000 })
  target.alloc('x', 100, { access: 'read' })
  const before = initiator.stats()
  await peer.read('x')
  await t.throwsAsync(peer.write('x', new Uint8Array(3)).wait(), { code: 'ERR_ACCESS' })
  const after = initiator.stats()
  t.is(after.operations.reads - before.operations.reads, 1)
  t.is(after.operations.writes - before.operations.writes, 1)
  t.is(after.operations.failed - before.operations.failed, 1)
  t.is(after.bytes.read - before.bytes.read, 100)
  t.is(target.stats().bytes.served, 100)
  t.is(target.stats().rejected['access_denied'], 1)
  t.true(target.stats().connections.accepted > 0)
})

test('every limit is taken at the edges of its range, and refused beyond them', async (t) => {
  const names: Record<keyof Limits, true> = {
    ioThreads: true,
    lanesPerPeer: true,
    maxConnections: true,
    maxConnectionsPerSource: true,
    maxOperationBytes: true,
    maxQueuedBytesPerPeer: true,
    maxInfoBytes: true,
    maxUnexpectedBytes: true,
    maxUnexpectedMessages: true,
    unexpectedTimeoutMs: true,
    connectTimeoutMs: true,
    handshakeTimeoutMs: true,
    headerTimeoutMs: true,
    progressTimeoutMs: true,
    idleTimeoutMs: true,
    drainBytes: true,
    drainMs: true,
    sendBufferBytes: true,
    receiveBufferBytes: true,
    localSendBufferBytes: true,
    localReceiveBufferBytes: true,
  }
  const root = dirname(require.resolve('memlane/package.json'))
  const { limitTable } = require(join(root, 'native.js')) as { limitTable(): { name: string; default: number; least: number; most: number }[] }
  const table = limitTable()
  t.deepEqual(table.map(({ name }) => name), Object.keys(names))
  const { limits } = (await endpoint(t)).stats()
  for (const { name, default: usual, least, most } of table) {
    t.is(limits[name as keyof Limits], usual, name)
    for (const value of [least, most]) {
      const owner = await endpoint(t, { [name]: value })
      t.is(owner.stats().limits[name as keyof Limits], value, name)
    }
    for (const value of [least - 1, most + 1]) {
      t.like(thrown(() => TcpEndpoint.listen({ [name]: value })), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }, name)
    }
  }
})

test('an endpoint is its own peer', async (t) => {
  const self = await endpoint(t)
  const peer = await self.connect(self.endpointInfo())
  const region = self.alloc('x', 8, { access: 'readwrite' })
  t.is(await peer.write('x', region, { length: 4 }), 4)
  const [received] = await Promise.all([self.recv(region), peer.send(Buffer.from('itself'))])
  t.is(Buffer.from(received.data).toString(), 'itself')
})

test('reads and writes go on while the target blocks its event loop', async (t) => {
  const child = Child.start(t, 'target')
  const { info } = await child.next<{ info: EndpointInfo }>()
  const initiator = await endpoint(t)
  const peer = await initiator.connect(info)
  const flag = initiator.alloc('flag', 8)
  const words = new Int32Array(flag.buffer)
  const look = async () => {
    await peer.read('blocked', { into: flag })
    return { blocked: words[0], turns: words[1] ?? 0 }
  }
  child.send({ command: 'block' })
  while ((await look()).blocked !== 1);

  same(t, await peer.read('data'), counting(1 << 20))
  t.is(await peer.write('data', counting(1 << 20, 1)), 1 << 20)
  same(t, await peer.read('data', { length: 99 }), counting(99, 1))
  const during = await look()
  t.is(during.blocked, 1, 'it blocked all the time')

  await peer.write('release', Int32Array.of(1))
  t.deepEqual(await child.next(), { left: 'released' })
  const after = await look()
  t.is(after.blocked, 0)
  t.true(after.turns >= during.turns)
})

test('a peer that dies fails its operations at once, with the peer and the operation in the error', async (t) => {
  const child = Child.start(t, 'target')
  const { info } = await child.next<{ info: EndpointInfo }>()
  const initiator = await endpoint(t)
  const peer = await initiator.connect(info)
  const scratch = initiator.alloc('scratch', 1 << 20)
  // Stopped, it can answer none of these; without a deadline, nothing but its end can end them.
  child.signal('SIGSTOP')
  let probe = peer.read('data', { timeoutMs: 0 })
  while ((await probe.waitFor(0.2)) !== null) probe = peer.read('data', { timeoutMs: 0 })
  const pending: [string, PromiseLike<unknown>][] = [
    ['read', probe],
    ['read', peer.read('data', { timeoutMs: 0 })],
    ['read', peer.read('data', { into: scratch, timeoutMs: 0 })],
    ['write', peer.write('data', new Uint8Array(8), { timeoutMs: 0 })],
    ['write', peer.write('data', scratch, { timeoutMs: 0 })],
    ['send', peer.send(new Uint8Array(8), { timeoutMs: 0 })],
    ['describe', peer.refresh({ timeoutMs: 0 })],
  ]
  const failures = pending.map(([, future]) => t.throwsAsync<MemlaneError>(async () => future))
  child.signal('SIGKILL')
  for (const [index, failure] of failures.entries()) {
    const [operation] = pending[index] ?? []
    const error = await failure
    // Also of what may go by another connection, and is dialled for once more in vain. The lane of messages is new, and never
    // had an answer to its preface.
    const code = operation === 'send' ? 'ERR_CONNECT' : 'ERR_PEER_CLOSED'
    t.like(error, { code, origin: 'transport', operation, peer: `127.0.0.1:${info.port}` })
  }
  const refused = await t.throwsAsync(peer.read('data').wait())
  t.like(refused, { code: 'ERR_CONNECT', operation: 'read', peer: `127.0.0.1:${info.port}` })
})

test('a peer that comes back is dialled again, and its regions are found by name', async (t) => {
  const initiator = await endpoint(t)
  const first = await TcpEndpoint.listen()
  const { port } = first
  fill(first.alloc('x', 4, { access: 'read' }).buffer, new Uint8Array(4).fill(1))
  const peer = await initiator.connect(url(first))
  t.is((await peer.read('x'))[0], 1)
  await first.close()
  const second = await endpoint(t, { port })
  fill(second.alloc('x', 4, { access: 'read' }).buffer, new Uint8Array(4).fill(2))
  // The lane may still be about to learn of the close: one failure is allowed, and then the next one works.
  const bytes = await peer.read('x').wait().catch(() => peer.read('x'))
  t.is(bytes[0], 2)
})
