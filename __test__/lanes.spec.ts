import { TcpContext, TcpEndpoint } from 'memlane'
import { endpoint, url } from './support/pair'
import { Silent } from './support/pair-silent'
import { Random, seed } from './support/raw-random'
import { fixedPort, sockets, until, withProc } from './support/sockets'

withProc('a lane whose far end closes is gone at once, with nobody using it, and costs the next operation nothing', async (t) => {
  t.log(`MEMLANE_SEED=${seed}`)
  const random = new Random('lanes')
  const listen = async (): Promise<TcpEndpoint> => TcpEndpoint.listen({ port: fixedPort((bound) => random.below(bound)) }).catch(listen)
  const before = sockets()
  let target = await listen()
  t.teardown(() => target.close())
  const { port } = target
  const initiator = await endpoint(t, { lanesPerPeer: 3 })
  const into = initiator.alloc('into', 8 << 20)
  const make = () => target.alloc('x', 8 << 20, { access: 'read' })
  make()
  const peer = await initiator.connect(url(target))
  for (let life = 0; life < 5; life++) {
    // Every lane: large reads use those behind the first, a message its own.
    const receive = target.recv(new Uint8Array(8))
    await Promise.all([peer.read('x', { into }), peer.read('x', { into }), peer.read('x', { length: 8 }), peer.send(new Uint8Array(8)), receive])
    t.is(target.stats().connections.open, 4)
    await target.close()
    // The initiator listens, and nothing else is left.
    t.is(await until(before + 1, sockets), before + 1, 'connections are left to a peer that has gone')
    target = await TcpEndpoint.listen({ port })
    make()
  }
  t.like(initiator.stats().lanes, { dialled: 5 * 4, poisoned: 0 })
})

withProc('a lane that nobody uses is closed after idleTimeoutMs, and the next operation dials again', async (t) => {
  const target = await endpoint(t)
  target.alloc('x', 8, { access: 'read' })
  const before = sockets()
  const initiator = await endpoint(t, { idleTimeoutMs: 100 })
  const peer = await initiator.connect(url(target))
  for (let round = 1; round <= 3; round++) {
    t.is(await until(before + 1, sockets), before + 1, 'the initiator listens, and nothing else is left')
    t.is(await until(0, () => target.stats().connections.open), 0)
    t.is(initiator.stats().lanes.dialled, round)
    t.is((await peer.read('x')).byteLength, 8)
  }
  t.like(initiator.stats(), { operations: { failed: 0 }, lanes: { dialled: 4, poisoned: 0 } })
})

withProc('a lane that waits for an answer is not idle', async (t) => {
  const silent = await Silent.start(t)
  const context = new TcpContext({ idleTimeoutMs: 20 })
  t.teardown(() => context.close())
  const initiator = await TcpEndpoint.listen({ context })
  const peer = await initiator.connect(silent.info({ x: { addr: 4096, length: 8 } }))
  const read = peer.read('x')
  await silent.heard(17)
  // The one that connect dialled may have been idle for too long before that.
  const { connections } = silent
  // Ten times as long as an idle one would have stayed.
  t.is(await read.waitFor(0.2), null)
  silent.say(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]), connections - 1)
  t.deepEqual([...(await read)], [1, 2, 3, 4, 5, 6, 7, 8])
  t.is(silent.connections, connections)
})
