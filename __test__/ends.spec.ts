import { readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { type EndpointInfo, type MemlaneError, type MemoryRegion, type Peer, TcpContext, TcpEndpoint, type TransferFuture } from 'memlane'
import { Child } from './support/child'
import { onLinux } from './support/linux'
import { endpoint, url } from './support/pair'
import { Silent } from './support/pair-silent'
import { until } from './support/sockets'

const BYTES = 16 << 20
const DRAIN_MS = 500
/** What this machine may take beyond what is promised: its cores are shared. */
const SLACK_MS = 1000

/** How each operation ended, in their order. An operation that never ends makes the test late; one that ends twice cannot. */
function endings(futures: readonly PromiseLike<unknown>[]): Promise<string[]> {
  return Promise.all(futures.map((future) => Promise.resolve(future).then(() => 'ok', (error: MemlaneError) => error.code)))
}

/** Reads and writes of every kind, more of them than a connection takes at once. */
function transfers(peer: Peer, scratch: MemoryRegion): TransferFuture<unknown>[] {
  const descriptors = Float64Array.from({ length: 300 }, (_, index) => (index % 3 === 2 ? 4096 : 4096 * Math.floor(index / 3)))
  const prepared = peer.prepare('read', descriptors, { remote: 'x', local: scratch })
  return [
    ...Array.from({ length: 8 }, () => peer.read('x', { into: scratch })),
    ...Array.from({ length: 8 }, () => peer.write('x', scratch)),
    ...Array.from({ length: 50 }, () => peer.read('x', { length: 64 })),
    ...Array.from({ length: 50 }, () => peer.write('x', new Uint8Array(64))),
    peer.readBatch(descriptors, { remote: 'x', local: scratch }),
    peer.writeBatch(descriptors, { remote: 'x', local: scratch }),
    prepared.start(),
    prepared.start(),
    peer.refresh(),
  ]
}

/** What waits for somebody else's program: receives that get nothing, messages that nobody takes. */
function waiting(peer: Peer, own: TcpEndpoint, scratch: MemoryRegion): TransferFuture<unknown>[] {
  return [
    peer.write('x', new Uint8Array(64), { notify: 9 }),
    ...Array.from({ length: 8 }, () => peer.send(new Uint8Array(64), { tag: 9 })),
    own.recv(new Uint8Array(64), { tag: 8 }),
    own.recv(scratch, { tag: 8 }),
  ]
}

interface World {
  target: TcpEndpoint
  context: TcpContext
  initiator: TcpEndpoint
  peer: Peer
  region: MemoryRegion
  scratch: MemoryRegion
}

async function world(t: ExecutionContext): Promise<World> {
  const target = await endpoint(t)
  const region = target.alloc('x', BYTES, { access: 'readwrite' })
  const context = new TcpContext()
  t.teardown(() => context.close())
  const initiator = await TcpEndpoint.listen({ context })
  const scratch = initiator.alloc('scratch', BYTES)
  return { target, context, initiator, peer: await initiator.connect(url(target)), region, scratch }
}

/** What is closed in the middle of everything, and what operations may end with then. */
const CLOSES: Record<string, { close: (world: World) => Promise<unknown>; codes: string[] }> = {
  'the peer': { close: ({ peer }) => peer.close(), codes: ['ERR_CLOSED'] },
  'the endpoint': { close: ({ initiator }) => initiator.close(), codes: ['ERR_CLOSED'] },
  'the context': { close: ({ context }) => context.close(), codes: ['ERR_CLOSED'] },
  // A body that is half sent from it takes its lane along.
  'the local region': { close: ({ scratch }) => scratch.close(), codes: ['ERR_CLOSED', 'ERR_PEER_CLOSED'] },
  'the remote region': { close: ({ region }) => region.close(), codes: ['ERR_REGION_NOT_FOUND', 'ERR_PEER_CLOSED'] },
  'the remote endpoint': { close: ({ target }) => target.close(), codes: ['ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_REGION_NOT_FOUND'] },
  'everything, from inside out': {
    close: ({ scratch, peer, initiator, context }) => Promise.all([scratch, peer, initiator, context].map((one) => one.close())),
    codes: ['ERR_CLOSED', 'ERR_PEER_CLOSED'],
  },
  'everything, from outside in': {
    close: ({ scratch, peer, initiator, context }) => Promise.all([context, initiator, peer, scratch].map((one) => one.close())),
    codes: ['ERR_CLOSED', 'ERR_PEER_CLOSED'],
  },
}

for (const [what, { close, codes }] of Object.entries(CLOSES)) {
  test.serial(`closing ${what} in the middle of everything ends every operation, with a value or why`, async (t) => {
    for (const turns of [0, 1, 5]) {
      const all = await world(t)
      const moving = transfers(all.peer, all.scratch)
      const idle = waiting(all.peer, all.initiator, all.scratch)
      const [moved, idled] = [endings(moving), endings(idle)]
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      await close(all)
      const unexpected = (allowed: string[]) => (code: string) => code !== 'ok' && !allowed.includes(code)
      t.deepEqual((await moved).filter(unexpected(codes)), [], `after ${turns} turns`)
      await Promise.all([all.target.close(), all.context.close()])
      t.deepEqual((await idled).filter(unexpected([...codes, 'ERR_CLOSED', 'ERR_PEER_CLOSED'])), [], `after ${turns} turns`)
      // They have ended for good: giving them up does nothing any more.
      for (const future of [...moving, ...idle]) future.cancel()
    }
  })
}

test('closing while connecting ends the connect, whether or not anybody answers it', async (t) => {
  const silent = await Silent.start(t)
  const target = await endpoint(t)
  const contexts = Array.from({ length: 20 }, () => new TcpContext())
  const codes = await Promise.all(
    contexts.map(async (context, index) => {
      const initiator = await TcpEndpoint.listen({ context })
      const connects = [initiator.connect(silent.url, { timeoutMs: 0 }), initiator.connect(url(target)), initiator.connect('tcp://127.0.0.1:1')]
      const ending = endings(connects)
      for (let turn = 0; turn < index % 5; turn++) await new Promise(setImmediate)
      await (index % 2 === 0 ? initiator : context).close()
      const [unanswered, ...others] = await ending
      t.is(unanswered, 'ERR_CLOSED')
      return others
    })
  )
  for (const code of codes.flat()) t.true(['ok', 'ERR_CLOSED', 'ERR_CONNECT'].includes(code), code)
  t.is(await until(0, () => target.stats().connections.open), 0, 'no connection is left of those that were given up')
})

test('a peer that connects while its endpoint closes is closed, or never was', async (t) => {
  const target = await endpoint(t)
  for (let round = 0; round < 50; round++) {
    const initiator = await TcpEndpoint.listen({ context: new TcpContext() })
    const connect = initiator.connect(url(target)).wait().then((peer) => peer.closed, (error: MemlaneError) => error.code)
    const closing = initiator.close()
    const end = await connect
    t.true(end === true || end === 'ERR_CLOSED', String(end))
    await closing
  }
  t.is(await until(0, () => target.stats().connections.open), 0)
})

test('closing twice is closing once, whoever does it, and what is outside resolves last', async (t) => {
  const { context, initiator, peer, scratch } = await world(t)
  const order: string[] = []
  const note = (what: string) => () => void order.push(what)
  const pending = endings([peer.read('x', { into: scratch }), peer.write('x', scratch)])
  const inner = [scratch.close().then(note('inner')), peer.close().then(note('inner'))]
  const outer = initiator.close().then(note('endpoint'))
  const outermost = context.close().then(note('context'))
  t.is(initiator.close(), initiator.close())
  t.is(context.close(), context.close())
  t.is(peer.close(), peer.close())
  t.is(scratch.close(), scratch.close())
  await Promise.all([...inner, outer, outermost])
  t.is(order.at(-1), 'context')
  t.is((await pending).length, 2)
  // Long over: still the same.
  await Promise.all([peer.close(), scratch.close(), initiator.close(), context.close()])
})

test('two workers close at once what they share with the main thread, which goes on', async (t) => {
  const child = Child.start(t, 'closers')
  const exit = await child.ended
  t.deepEqual(exit, { code: 0, signal: null, output: 'ended: 600, unknown codes: none, read: 7\n' }, exit.output)
})

/** A child that is halted: its kernel still takes bytes, up to its buffers, and nothing answers. */
async function halt(child: Child): Promise<void> {
  child.signal('SIGSTOP')
  // A signal sent is not one taken: until then its threads still answer.
  const state = () => readFileSync(`/proc/${child.pid}/stat`, 'latin1').replace(/^.*\) /, '')[0]
  if ((await until('T', state)) !== 'T') throw new Error('the child does not halt')
}

const halting = onLinux(test, 'whether a child has halted is read from /proc, which only Linux has')

halting('closing towards a peer that hangs ends what it has not answered, and resolves in time', async (t) => {
  for (const what of ['peer', 'endpoint', 'context'] as const) {
    const child = Child.start(t, 'target')
    const { info } = await child.next<{ info: EndpointInfo }>()
    const context = new TcpContext({ drainMs: DRAIN_MS })
    t.teardown(() => context.close())
    const initiator = await TcpEndpoint.listen({ context })
    const peer = await initiator.connect(info)
    const scratch = initiator.alloc('scratch', 1 << 20)
    await halt(child)
    const futures = [
      peer.read('data', { into: scratch, timeoutMs: 0 }),
      peer.read('data', { timeoutMs: 0 }),
      ...Array.from({ length: 20 }, () => peer.write('data', scratch, { timeoutMs: 0 })),
      peer.write('data', new Uint8Array(64), { timeoutMs: 0 }),
      peer.send(new Uint8Array(64), { timeoutMs: 0 }),
      peer.refresh({ timeoutMs: 0 }),
    ]
    const ending = endings(futures)
    // The sockets are full of what nobody takes.
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    const began = performance.now()
    await { peer, endpoint: initiator, context }[what].close()
    const took = performance.now() - began
    t.true(took < DRAIN_MS + 1000 + SLACK_MS, `closing the ${what} took ${took} ms`)
    t.deepEqual([...new Set(await ending)], ['ERR_CLOSED'])
    await child.kill()
  }
})

halting('a region and an endpoint close in time while a peer hangs in the middle of its transfers, and no byte changes after that', async (t) => {
  for (const what of ['region', 'endpoint'] as const) {
    const target = await TcpEndpoint.listen({ drainMs: DRAIN_MS })
    t.teardown(() => target.close())
    const region = target.alloc('x', 32 << 20, { access: 'readwrite' })
    const bytes = new Uint8Array(region.buffer)
    const child = Child.start(t, 'hanging', [url(target)])
    await child.next()
    // A byte that has come, and one of each transfer that has not: it hangs in the middle.
    t.is(await until(0x77, () => bytes[4096]), 0x77)
    await halt(child)
    const began = performance.now()
    await { region, endpoint: target }[what].close()
    const took = performance.now() - began
    t.true(took < DRAIN_MS + 1000 + SLACK_MS, `closing the ${what} took ${took} ms`)
    bytes.fill(0x11)
    child.signal('SIGCONT')
    // What its transfers end with says that it was heard: it is not silence that leaves the memory alone.
    const failed = [await child.next<{ failed: string }>(), await child.next<{ failed: string }>()]
    for (const { failed: code } of failed) t.true(['ERR_PEER_CLOSED', 'ERR_REGION_NOT_FOUND', 'ERR_CONNECT'].includes(code), code)
    t.true(bytes.every((byte) => byte === 0x11), 'a byte changed after the fence')
    await child.kill()
    await target.close()
  }
})
