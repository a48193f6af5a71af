import { Worker } from 'node:worker_threads'
import test from 'ava'
import { type OperationStats, type PeerOperationStats, TcpContext, TcpEndpoint } from 'memlane'
import { counting, endpoint, pair, url } from './support/pair'
import { Silent } from './support/pair-silent'

test('a peer counts its own operations and bytes, and its endpoint those of all of them', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t, { lanesPerPeer: 2 })
  target.alloc('x', 4 << 20, { access: 'readwrite' })
  const [one, two] = [await initiator.connect(url(target)), await initiator.connect(url(target))]
  await one.read('x', { length: 100 })
  await one.write('x', counting(30))
  await one.readBatch([
    { remote: 'x', local: new Uint8Array(5) },
    { remote: 'x', local: new Uint8Array(6) },
  ])
  await t.throwsAsync(one.read('y').wait(), { code: 'ERR_REGION_NOT_FOUND' })
  const received = target.recv(new Uint8Array(8))
  await two.send(counting(8))
  await received
  t.like(one.stats(), {
    operations: { reads: 2, writes: 1, sends: 0, describes: 2, failed: 0, timedOut: 0, cancelled: 0, inFlight: 0 },
    bytes: { read: 111, written: 30, sent: 0 },
    queuedBytes: 0,
  })
  t.like(two.stats(), { operations: { reads: 0, sends: 1 }, bytes: { sent: 8, read: 0 } })
  const { operations, bytes } = initiator.stats()
  t.like({ operations, bytes }, {
    operations: { reads: 2, writes: 1, sends: 1, receives: 0, failed: 0, inFlight: 0 },
    bytes: { read: 111, written: 30, sent: 8, received: 0 },
  })
  t.like(target.stats(), { operations: { receives: 1 }, bytes: { received: 8, served: 111, stored: 30 } })
})

test('lanes are those of the link that peers share; what they dialled and found open is each one\'s own', async (t) => {
  const target = await endpoint(t)
  target.alloc('x', 8 << 20, { access: 'read' })
  const initiator = await endpoint(t, { lanesPerPeer: 2 })
  const one = await initiator.connect(url(target))
  t.deepEqual(one.stats().lanes, { open: 1, dialled: 1, reused: 0, poisoned: 0 })
  const two = await initiator.connect(url(target))
  await two.read('x', { length: 1 })
  t.deepEqual(two.stats().lanes, { open: 1, dialled: 0, reused: 2, poisoned: 0 })
  await two.read('x')
  t.deepEqual(two.stats().lanes, { open: 2, dialled: 1, reused: 2, poisoned: 0 }, 'a large read has a lane of its own')
  t.deepEqual(one.stats().lanes, { open: 2, dialled: 1, reused: 0, poisoned: 0 })
  t.deepEqual(initiator.stats().lanes, { open: 2, dialled: 2, reused: 2, poisoned: 0 }, 'shared lanes count once')
})

test('nothing fails that is not counted, whatever it is and wherever it ends', async (t) => {
  const { target, initiator, peer } = await pair(t, { maxQueuedBytesPerPeer: 1 << 20 })
  target.alloc('x', 4 << 20, { access: 'read' })
  const failed = async (future: PromiseLike<unknown>) => Promise.resolve(future).then(() => t.fail(), () => undefined)
  const check = (stats: { operations: OperationStats | PeerOperationStats }, what: string) => {
    const { reads, writes, sends, describes, failed: ended } = stats.operations
    t.true(ended <= reads + writes + sends + describes, `${what}: ${JSON.stringify(stats.operations)}`)
  }
  await failed(peer.read('nobody'))
  t.like(peer.stats().operations, { reads: 0, describes: 2, failed: 0 })
  await failed(peer.read('x', { signal: AbortSignal.abort() }))
  t.throws(() => peer.readTensor('x'), { code: 'ERR_TENSOR' })
  t.like(peer.stats().operations, { reads: 0, failed: 0 }, 'what is not handed over')
  const before = peer.stats().operations.failed
  // The first is taken whatever its size, the second does not fit behind it.
  const ends = [peer.write('x', new Uint8Array(4 << 20)), peer.write('x', new Uint8Array(2 << 20))]
  for (const end of ends) await failed(end)
  t.like(peer.stats().operations, { writes: 2, failed: before + 2 })
  await target.close()
  await failed(peer.read('nobody'))
  await failed(peer.refresh())
  await failed(initiator.connect(url(target)))
  check(peer.stats(), 'the peer')
  check(initiator.stats(), 'its endpoint')
  t.is(peer.stats().operations.inFlight, 0)
})

test('inFlight tells how many operations have not ended, whatever they wait for', async (t) => {
  const silent = await Silent.start(t)
  const initiator = await endpoint(t)
  const peer = await initiator.connect(silent.info({ x: { addr: 4096, length: 64 } }))
  const reads = Array.from({ length: 3 }, () => peer.read('x'))
  t.is(peer.stats().operations.inFlight, 3)
  t.is(initiator.stats().operations.inFlight, 3)
  reads[0]?.cancel()
  await t.throwsAsync(async () => reads[0], { code: 'ERR_ABORTED' })
  await t.throwsAsync(peer.read('x', { timeoutMs: 20 }).wait(), { code: 'ERR_TIMEOUT' })
  t.like(peer.stats().operations, { reads: 4, inFlight: 2, failed: 2, cancelled: 1, timedOut: 1 })
  await peer.close()
  for (const read of reads.slice(1)) await t.throwsAsync(async () => read, { code: 'ERR_CLOSED' })
  t.like(peer.stats().operations, { reads: 4, inFlight: 0, failed: 4 })
})

test('a region tells what peers did to it, and who uses it now', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const region = target.alloc('x', 3 << 20, { access: 'readwrite' })
  const other = target.alloc('y', 10, { access: 'read' })
  await peer.read('x', { length: 10 })
  await peer.write('x', counting(2 << 20))
  await t.throwsAsync(peer.write('y', counting(10)).wait(), { code: 'ERR_ACCESS' })
  t.deepEqual(region.stats(), { operations: { reads: 1, writes: 2 }, bytes: { served: 10, stored: 2 << 20 }, inFlight: 0 })
  t.deepEqual(other.stats(), { operations: { reads: 0, writes: 0 }, bytes: { served: 0, stored: 0 }, inFlight: 0 })
  const receive = target.recv(region)
  t.is(region.stats().inFlight, 1, 'a posted receive holds it')
  receive.cancel()
  await t.throwsAsync(async () => receive, { code: 'ERR_ABORTED' })
  t.is(region.stats().inFlight, 0)
  const local = initiator.alloc('local', 64)
  await peer.read('x', { into: local })
  t.deepEqual(local.stats().operations, { reads: 0, writes: 0 }, 'this side\'s own operations are its peers\'')
})

test('what is closed tells its last figures, and its endpoint goes on counting them', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const region = target.alloc('x', 100, { access: 'read' })
  await peer.read('x')
  await region.close()
  t.like(region.stats(), { operations: { reads: 1 }, bytes: { served: 100 }, inFlight: 0 })
  t.is(target.stats().bytes.served, 100)
  await peer.close()
  t.like(peer.stats(), { operations: { reads: 1, inFlight: 0 }, bytes: { read: 100 }, lanes: { open: 0, dialled: 1 } })
  t.is(initiator.stats().operations.reads, 1)
  await Promise.all([initiator.close(), target.close()])
  t.like(initiator.stats(), { operations: { reads: 1, inFlight: 0 }, bytes: { read: 100 }, lanes: { open: 0 } })
  t.like(target.stats(), { connections: { accepted: 1, open: 0 }, bytes: { served: 100 } })
  t.regex(target.metrics(), /^memlane_bytes_total\{direction="served"\} 100$/m)
})

test('a context is the sum of its endpoints, those that have closed included', async (t) => {
  const target = await endpoint(t)
  target.alloc('x', 100, { access: 'read' })
  const context = new TcpContext({ ioThreads: 2 })
  t.like(context.stats(), { endpoints: 0, peers: 0, ioThreads: 2, operations: { reads: 0 }, limits: { ioThreads: 2 } })
  const [one, two] = await Promise.all([TcpEndpoint.listen({ context }), TcpEndpoint.listen({ context })])
  for (const owner of [one, two]) {
    const peer = await owner.connect(url(target))
    await peer.read('x')
  }
  t.like(context.stats(), { endpoints: 2, peers: 2, operations: { reads: 2 }, bytes: { read: 200 }, lanes: { open: 1, dialled: 1 } })
  await one.close()
  t.like(context.stats(), { endpoints: 1, peers: 1, operations: { reads: 2 }, bytes: { read: 200 } })
  const peers = await Promise.all([two.connect(url(target)), two.connect(url(target))])
  await Promise.all(peers.map((peer) => peer.close()))
  t.is(context.stats().peers, 1)
  await context.close()
  t.like(context.stats(), { endpoints: 0, peers: 0, operations: { reads: 2, inFlight: 0 }, lanes: { open: 0 } })
})

test('figures outlive what they tell of, and end with their environment', async (t) => {
  const program = `
    const { TcpContext, TcpEndpoint } = require('memlane')
    const { parentPort } = require('node:worker_threads')
    async function main() {
      const context = new TcpContext()
      const endpoint = await TcpEndpoint.listen({ context })
      const region = endpoint.alloc('x', 8, { access: 'read' })
      const peer = await endpoint.connect(endpoint.endpointInfo())
      await peer.read('x')
      if (!process.argv.includes('open')) await context.close()
      parentPort.postMessage([context, endpoint, peer, region].map((one) => one.stats().operations.reads))
    }
    main()`
  for (const argv of [[], ['open']]) {
    const worker = new Worker(program, { eval: true, argv })
    const [told, code] = await Promise.all([
      new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
      new Promise((resolve) => worker.once('exit', resolve)),
    ])
    t.deepEqual([told, code], [[1, 1, 1, 1], 0])
  }
})
