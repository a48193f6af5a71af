import test, { type ExecutionContext } from 'ava'
import type { EndpointInfo, MemlaneError, Peer, TcpEndpoint, TransferFuture } from 'memlane'
import { Child } from './support/child'
import { counting, endpoint, pair, same } from './support/pair'
import { RawListener } from './support/raw-listener'

const MIB = 1 << 20
const MOST = 16 * MIB

interface Stopped {
  initiator: TcpEndpoint
  peer: Peer
  /** Lets the peer read again. */
  go(): void
}

/** A peer in a process that is stopped: its socket takes what fits, and then nothing. */
async function stopped(t: ExecutionContext): Promise<Stopped> {
  const child = Child.start(t, 'target')
  const { info } = await child.next<{ info: EndpointInfo }>()
  const initiator = await endpoint(t, { maxQueuedBytesPerPeer: MOST })
  const peer = await initiator.connect(info)
  child.signal('SIGSTOP')
  return { initiator, peer, go: () => child.signal('SIGCONT') }
}

async function failed(future: PromiseLike<unknown>): Promise<MemlaneError> {
  return Promise.resolve(future).then(
    () => Promise.reject(new Error('it did not fail')),
    (error: MemlaneError) => error
  )
}

// Alone: the memory that it measures is the process's.
test.serial('2 GiB of writes to a peer that never reads end in ERR_LIMIT, within bounds, and then all of it works again', async (t) => {
  const { initiator, peer, go } = await stopped(t)
  const bytes = counting(MIB)
  const before = process.memoryUsage.rss()
  let most = 0
  const outcomes: Promise<'written' | MemlaneError>[] = []
  for (let index = 0; index < 2048; index++) {
    const write = peer.write('data', bytes, { timeoutMs: 0 })
    outcomes.push(write.wait().then(() => 'written', (error: MemlaneError) => error))
    most = Math.max(most, peer.stats().queuedBytes)
    // Lets the I/O thread take what the socket takes.
    if (index % 256 === 255) await new Promise((resolve) => setImmediate(resolve))
  }
  t.true(most <= MOST && most > MOST - 4 * MIB, `${most} bytes were queued`)
  const grown = process.memoryUsage.rss() - before
  t.true(grown < MOST + 32 * MIB, `grew by ${grown} bytes`)
  t.is(initiator.stats().queuedBytes, peer.stats().queuedBytes)
  go()
  const ends = await Promise.all(outcomes)
  const refused = ends.filter((end): end is MemlaneError => end !== 'written')
  t.true(refused.length > 1900 && refused.length < 2048, `${refused.length} of 2048`)
  for (const error of refused) t.like(error, { code: 'ERR_LIMIT', origin: 'local', retryable: true, operation: 'write', outcome: undefined })
  t.regex(refused[0]?.message ?? '', /maxQueuedBytesPerPeer is 16777216: \d+ bytes are queued for this peer, 1048576 more do not fit/)
  t.like(peer.stats(), { queuedBytes: 0, operations: { inFlight: 0, writes: 2048, failed: refused.length } })
  for (let index = 0; index < 20; index++) t.is(await peer.write('data', counting(MIB, index)), MIB)
  same(t, await peer.read('data'), counting(MIB, 19))
})

test('sends, batches with memory of JavaScript and writes with a notification are counted; regions and reads are not', async (t) => {
  const { initiator, peer, go } = await stopped(t)
  // On its way already: what comes behind it waits whole, and the lanes take nothing more.
  const region = initiator.alloc('local', 64 * MIB)
  const parts = [0, 1, 2, 3].map((part) => ({ remote: 'data', local: new Uint8Array(MIB), length: MIB - part }))
  const ended: Promise<unknown>[] = []
  const keep = (future: PromiseLike<unknown>) => ended.push(Promise.resolve(future).catch((error: MemlaneError) => error.code))
  keep(peer.writeBatch(Array.from({ length: 64 }, (_, part) => ({ remote: 'data', local: region, localOffset: part * MIB, length: MIB }))))
  t.is(peer.stats().queuedBytes, 0, 'a region is sent from where it lies')
  keep(peer.readBatch([{ remote: 'data', local: new Uint8Array(MIB) }]))
  keep(peer.read('data'))
  t.is(peer.stats().queuedBytes, 0, 'nothing of a read waits to be sent')

  const refusedFrom: [string, () => PromiseLike<unknown>][] = [
    ['write', () => peer.write('data', new Uint8Array(MIB))],
    ['write', () => peer.write('data', new Uint8Array(MIB), { notify: 1 })],
    ['write', () => peer.writeBatch(parts)],
    ['send', () => peer.send(new Uint8Array(MIB))],
  ]
  for (const [, issue] of refusedFrom) {
    const before = peer.stats().queuedBytes
    // The socket has room for some of the first messages: it is full before long.
    for (let tries = 0; tries < 16 && peer.stats().queuedBytes <= before; tries++) keep(issue())
    t.true(peer.stats().queuedBytes > before, String(issue))
  }
  for (let tries = 0; tries < 64; tries++) keep(peer.send(new Uint8Array(MIB)))
  const { failed: before } = peer.stats().operations
  const { sends, writes } = peer.stats().operations
  for (const [operation, issue] of refusedFrom) {
    const error = await failed(issue())
    t.like(error, { name: 'MemlaneError', code: 'ERR_LIMIT', operation, retryable: true, origin: 'local' }, String(issue))
    t.regex(error.message, /maxQueuedBytesPerPeer/)
    t.truthy(error.peer)
  }
  t.like(peer.stats().operations, { sends: sends + 1, writes: writes + 3, failed: before + 4 })
  t.is(initiator.stats().operations.failed, before + 4)

  go()
  await peer.close()
  await Promise.all(ended)
  t.is(peer.stats().queuedBytes, 0, 'every copy is freed')
})

test('a copy is freed when it has left, also while JavaScript looks at nothing', async (t) => {
  const { target, peer } = await pair(t, { maxQueuedBytesPerPeer: MOST })
  target.alloc('data', MIB, { access: 'write' })
  await peer.refresh()
  const forms: [string, () => PromiseLike<number>][] = [
    ['write', () => peer.write('data', counting(MIB))],
    ['write with notify', () => peer.write('data', counting(MIB), { notify: 1 })],
    ['batch', () => peer.writeBatch([{ remote: 'data', local: counting(MIB) }])],
  ]
  for (const [name, issue] of forms) {
    const received = name === 'write with notify' ? target.recv(new Uint8Array(16)) : undefined
    const write = issue()
    const deadline = performance.now() + 10_000
    // No turn of the event loop: nobody learns that the write has ended.
    while (peer.stats().queuedBytes > 0 && performance.now() < deadline);
    t.is(peer.stats().queuedBytes, 0, name)
    t.is(await write, MIB)
    await received
  }
})

test('where nothing is queued, one operation of any size is taken', async (t) => {
  const { peer, go } = await stopped(t)
  const large = peer.send(new Uint8Array(2 * MOST), { timeoutMs: 0 })
  t.is(peer.stats().queuedBytes, 2 * MOST)
  const error = await failed(peer.send(new Uint8Array(1)))
  t.like(error, { code: 'ERR_LIMIT' })
  t.regex(error.message, new RegExp(`is ${MOST}: ${2 * MOST} bytes are queued for this peer, 1 more do not fit`))
  const empty = peer.write('data', new Uint8Array(0))
  large.cancel()
  await t.throwsAsync(async () => large, { code: 'ERR_ABORTED' })
  go()
  t.is(await empty, 0, 'nothing takes no room')
  t.is(peer.stats().queuedBytes, 0, 'a cancelled one gives its room back')
  t.is(await peer.write('data', new Uint8Array(MIB)), MIB)
})

test('bytes that wait for a name count as queued, and are those of the call; a region\'s bytes do not', async (t) => {
  const { target, initiator, peer } = await pair(t, { maxQueuedBytesPerPeer: MOST })
  const region = initiator.alloc('local', MIB)
  const forms: [string, (name: string, source: Uint8Array) => TransferFuture<number>, number][] = [
    ['write', (name, source) => peer.write(name, source), MIB],
    ['write with notify', (name, source) => peer.write(name, source, { notify: 1 }), MIB],
    ['batch', (name, source) => peer.writeBatch([{ remote: name, local: source.subarray(1) }, { remote: name, remoteOffset: MIB - 1, local: source.subarray(0, 1) }]), MIB],
    ['nothing', (name, source) => peer.write(name, source.subarray(0, 0)), 0],
  ]
  for (const [what, issue, bytes] of forms) {
    const remote = target.alloc(what, MIB, { access: 'write' })
    const received = what === 'write with notify' ? target.recv(new Uint8Array(16)) : undefined
    const source = counting(MIB)
    const write = issue(what, source)
    t.is(peer.stats().queuedBytes, bytes, what)
    source.fill(0)
    t.is(await write, bytes, what)
    t.is(peer.stats().queuedBytes, 0, what)
    await received
    const sent = what === 'batch' ? Buffer.concat([counting(MIB).subarray(1), counting(1)]) : counting(MIB)
    same(t, remote.copyOut(0, bytes), sent.subarray(0, bytes), what)
  }
  target.alloc('region', MIB, { access: 'write' })
  for (const write of [peer.write('region', region), peer.writeBatch([{ remote: 'region', local: region }])]) {
    t.is(peer.stats().queuedBytes, 0, 'a region is sent from where it lies')
    t.is(await write, MIB)
  }
  for (const [what, issue, bytes] of forms) {
    const missing = issue('nowhere', counting(MIB))
    t.is(peer.stats().queuedBytes, bytes)
    t.is((await failed(missing)).code, 'ERR_REGION_NOT_FOUND', what)
    t.is(peer.stats().queuedBytes, 0, `${what}: a name that is not there gives the room back`)
  }
  target.alloc('short', 2, { access: 'write' })
  const long = await failed(peer.write('short', counting(3)))
  t.like(long, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  target.alloc('read only', 8, { access: 'read' })
  const refused = await failed(peer.write('read only', counting(3)))
  t.like(refused, { code: 'ERR_ACCESS', operation: 'write' })
  t.false('entry' in refused, 'to its caller it is no list')
  t.is(peer.stats().queuedBytes, 0)
})

test('writes to a name that the peer does not answer for end in ERR_LIMIT, and what is given up gives its room back', async (t) => {
  let asked = 0
  const listener = await RawListener.start({ describe: (honest, socket) => void (asked++ === 0 && socket.write(honest)) })
  t.teardown(() => listener.stop())
  const initiator = await endpoint(t, { maxQueuedBytesPerPeer: MOST })
  const peer = await initiator.connect(listener.url)
  const bytes = new Uint8Array(MIB)
  const writes = Array.from({ length: 16 }, () => peer.write('unknown', bytes, { timeoutMs: 0 }))
  t.is(peer.stats().queuedBytes, MOST)
  for (const issue of [() => peer.write('unknown', bytes), () => peer.write('unknown', bytes, { notify: 1 }), () => peer.writeBatch([{ remote: 'unknown', local: bytes }])]) {
    const error = await failed(issue())
    t.like(error, { code: 'ERR_LIMIT', origin: 'local', retryable: true, operation: 'write' })
    t.regex(error.message, new RegExp(`maxQueuedBytesPerPeer is ${MOST}: ${MOST} bytes are queued for this peer, ${MIB} more do not fit`))
  }
  const controller = new AbortController()
  writes[0]!.cancel()
  writes[7]!.cancel()
  t.is(peer.stats().queuedBytes, 14 * MIB, 'at once')
  const short = peer.write('unknown', bytes, { timeoutMs: 20 })
  const followed = peer.write('unknown', bytes, { signal: controller.signal })
  t.is(peer.stats().queuedBytes, MOST)
  t.is((await failed(short)).code, 'ERR_TIMEOUT')
  t.is(peer.stats().queuedBytes, MOST - MIB)
  controller.abort()
  t.is(peer.stats().queuedBytes, MOST - 2 * MIB)
  t.is((await failed(followed)).code, 'ERR_ABORTED')
  await peer.close()
  for (const write of writes) t.regex((await failed(write)).code, /ERR_(ABORTED|CLOSED)/)
  t.is(peer.stats().queuedBytes, 0)
})
