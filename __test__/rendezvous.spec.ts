import { type ExecutionContext } from 'ava'
import { type Peer, TcpContext, TcpEndpoint } from 'memlane'
import { url } from './support/pair'
import { Random, seed } from './support/raw-random'
import { sockets, until, withProc } from './support/sockets'

const ROUNDS = 1000

/** Which side connects first: either, or both before one of them is connected. */
const ORDERS = ['one', 'other', 'both'] as const

interface Side {
  endpoint: TcpEndpoint
  byte: number
}

async function side(context: TcpContext, byte: number): Promise<Side> {
  const endpoint = await TcpEndpoint.listen({ context })
  new Uint8Array(endpoint.alloc('x', 1, { access: 'read' }).buffer)[0] = byte
  return { endpoint, byte }
}

/** `from` connects to `to`, after `turns` turns of the event loop. */
async function connect(from: Side, to: Side, turns: number): Promise<Peer> {
  for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
  return from.endpoint.connect(url(to.endpoint))
}

/** Both find each other, use each other, and leave nothing behind. */
async function meet(t: ExecutionContext, contexts: [TcpContext, TcpContext], round: number, turns: () => number): Promise<void> {
  const before = sockets()
  const [one, other] = await Promise.all([side(contexts[0], round % 256), side(contexts[1], (round + 1) % 256)])
  const order = ORDERS[round % ORDERS.length]
  let peers: Peer[]
  if (order === 'both') {
    peers = await Promise.all([connect(one, other, turns()), connect(other, one, turns())])
  } else {
    const [first, second] = order === 'one' ? [one, other] : [other, one]
    const dialled = await connect(first, second, turns())
    const answered = await connect(second, first, turns())
    peers = order === 'one' ? [dialled, answered] : [answered, dialled]
  }
  const [toOther, toOne] = peers as [Peer, Peer]
  const what = `round ${round}, ${order} first, seed ${seed}`
  const bytes = await Promise.all([toOther.read('x'), toOne.read('x')])
  t.deepEqual([bytes[0]?.[0], bytes[1]?.[0]], [other.byte, one.byte], what)
  // Two that listen, and one connection each way with two ends.
  t.is(await until(before + 6, sockets), before + 6, what)
  for (const { endpoint } of [one, other]) {
    t.like(endpoint.stats(), { connections: { open: 1, accepted: 1 }, lanes: { dialled: 1 } }, what)
  }
  // The side that closes leaves no connection of either way behind, although the other one goes on listening.
  const [leaving, staying] = round % 2 === 0 ? [one, other] : [other, one]
  await leaving.endpoint.close()
  t.is(await until(before + 1, sockets), before + 1, `${what}, one closed`)
  await staying.endpoint.close()
  t.is(await until(before, sockets), before, what)
}

async function meetings(t: ExecutionContext, turns: () => number): Promise<void> {
  const contexts: [TcpContext, TcpContext] = [new TcpContext(), new TcpContext()]
  t.teardown(() => Promise.all(contexts.map((context) => context.close())))
  // The first one starts what a process has once, such as I/O threads.
  await meet(t, contexts, 0, () => 0)
  for (let round = 0; round < ROUNDS; round++) await meet(t, contexts, round, turns)
}

withProc('a thousand pairs connect to each other without delay: one connection each way, and none when both have closed', async (t) => {
  await meetings(t, () => 0)
})

withProc('the same with a random delay on either side', async (t) => {
  t.log(`MEMLANE_SEED=${seed}`)
  const random = new Random('rendezvous')
  await meetings(t, () => random.below(6))
})
