import type { ExecutionContext } from 'ava'
import { type Peer, TcpContext, TcpEndpoint } from 'memlane'
import { sha256 } from '../support/raw-random'
import { content, contentKey, eventually, patched, type Rig, SIZES, type WheelPeer, withWheel } from './support'

const LARGEST = SIZES.at(-1)!

async function pair(rig: Rig, length: number): Promise<{ endpoint: TcpEndpoint; wheel: WheelPeer; peer: Peer }> {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('buffer', length)
  return { endpoint, wheel, peer: await rig.rendezvous(endpoint, wheel) }
}

withWheel('messages of every size from the wheel land whole in a posted receive', async (t, rig) => {
  const { endpoint, wheel } = await pair(rig, LARGEST)
  await wheel.fill('buffer', contentKey('message'), LARGEST)
  for (const length of SIZES) {
    const slot = new Uint8Array(length)
    const receive = endpoint.recv(slot)
    t.is(await wheel.settle(await wheel.send('buffer', 0, length)), 0)
    const message = await receive
    t.like(message, { bytes: length, messageBytes: length, tag: 0, truncated: false })
    t.is(sha256(slot), sha256(content('message', length)), `${length} bytes`)
    t.is(sha256(message.data), sha256(slot), `${length} bytes`)
  }
})

withWheel('messages of every size to the wheel land whole in its posted receive', async (t, rig) => {
  const { wheel, peer } = await pair(rig, LARGEST)
  const source = content('message', LARGEST)
  for (const length of SIZES) {
    const receive = await wheel.recv('buffer', 0, length)
    t.is(await peer.send(source.subarray(0, length)), length)
    t.is(await wheel.settle(receive), 0)
    t.is(await wheel.sha256('buffer', 0, length), sha256(source.subarray(0, length)), `${length} bytes`)
  }
  t.true(await wheel.intact())
})

withWheel('a message that memlane had no receive for is kept and given to the next one', async (t, rig) => {
  const { endpoint, wheel } = await pair(rig, 5000)
  await wheel.fill('buffer', contentKey('early'), 5000)
  t.is(await wheel.settle(await wheel.send('buffer', 0, 5000)), 0)
  const message = await endpoint.recv(new Uint8Array(5000))
  t.like(message, { bytes: 5000, messageBytes: 5000, truncated: false })
  t.is(sha256(message.data), sha256(content('early', 5000)))
})

withWheel('a message larger than memlane keeps waits in the wheel until a receive is posted', async (t, rig) => {
  const length = 16 << 20
  const { endpoint, wheel } = await pair(rig, length)
  await wheel.fill('buffer', contentKey('large'), length)
  const send = await wheel.send('buffer', 0, length)
  // More than both sockets hold: it cannot leave the wheel while nobody waits for it.
  t.is(await wheel.settle(send, 0.3), null)
  const message = await endpoint.recv(new Uint8Array(length))
  t.is(await wheel.settle(send), 0)
  t.like(message, { bytes: length, truncated: false })
  t.is(sha256(message.data), sha256(content('large', length)))
})

withWheel('a message shorter than its receive leaves the rest of the buffer alone, both ways', async (t, rig) => {
  const { endpoint, wheel, peer } = await pair(rig, 4096)
  const before = content('before', 4096)
  const short = content('short', 1000)

  const slot = Buffer.from(before)
  const receive = endpoint.recv(slot)
  await wheel.fill('buffer', contentKey('short'), 1000)
  await wheel.send('buffer', 0, 1000)
  t.like(await receive, { bytes: 1000, messageBytes: 1000, truncated: false })
  t.is(sha256(slot), sha256(patched(before, 0, short)))

  await wheel.fill('buffer', contentKey('before'), 4096)
  const posted = await wheel.recv('buffer', 0, 4096)
  await peer.send(short)
  t.is(await wheel.settle(posted), 0)
  t.is(await wheel.sha256('buffer', 0, 4096), sha256(patched(before, 0, short)))
})

withWheel('a message longer than its receive is cut and says so in memlane, and the next one is whole', async (t, rig) => {
  const { endpoint, wheel } = await pair(rig, 8192)
  await wheel.fill('buffer', contentKey('long'), 8192)
  const before = content('before', 4096)
  const slot = Buffer.from(before)
  const receive = endpoint.recv(slot, { offset: 96, length: 4000 })
  await wheel.send('buffer', 0, 8192)
  t.like(await receive, { bytes: 4000, messageBytes: 8192, truncated: true })
  t.is(sha256(slot), sha256(patched(before, 96, content('long', 4000))))

  const next = endpoint.recv(new Uint8Array(17))
  await wheel.send('buffer', 100, 17)
  const message = await next
  t.like(message, { bytes: 17, truncated: false })
  t.deepEqual(Buffer.from(message.data), content('long', 8192).subarray(100, 117))
})

withWheel('the wheel cuts a message longer than its receive in silence and takes the next one whole', async (t, rig) => {
  const { wheel, peer } = await pair(rig, 4096)
  await wheel.fill('buffer', contentKey('before'), 4096)
  const first = await wheel.recv('buffer', 0, 4)
  const second = await wheel.recv('buffer', 4, 5)
  const sends = [peer.send(Buffer.from('LONGDATA')), peer.send(Buffer.from('HELLO'))]
  t.deepEqual(await Promise.all(sends), [8, 5])
  t.is(await wheel.settle(first), 0)
  t.is(await wheel.settle(second), 0)
  const expected = patched(content('before', 4096), 0, Buffer.from('LONGHELLO'))
  t.is(await wheel.sha256('buffer', 0, 4096), sha256(expected))
})

withWheel('an exact receive in memlane refuses the wrong size and takes the right one', async (t, rig) => {
  const { endpoint, wheel } = await pair(rig, 4096)
  await wheel.fill('buffer', contentKey('exact'), 4096)
  for (const length of [999, 1001]) {
    const receive = endpoint.recv(new Uint8Array(1000), { exactSize: true })
    await wheel.send('buffer', 0, length)
    await t.throwsAsync(async () => receive, { code: 'ERR_MESSAGE_SIZE' }, `${length} bytes into 1000`)
  }
  const receive = endpoint.recv(new Uint8Array(1000), { exactSize: true })
  await wheel.send('buffer', 0, 1000)
  const message = await receive
  t.like(message, { bytes: 1000, messageBytes: 1000, truncated: false })
  t.is(sha256(message.data), sha256(content('exact', 1000)))
})

withWheel('an exact receive in the wheel refuses the wrong size of memlane and takes the right one', async (t, rig) => {
  const { wheel } = await pair(rig, 4096)
  for (const [length, status] of [[999, -1], [1001, -1], [1000, 0]] as const) {
    // The wheel goes on to parse a payload that it refused as headers. So each message has a context, and with it a
    // connection, of its own, and bytes of an opcode that the wheel ignores.
    const context = new TcpContext()
    const endpoint = await TcpEndpoint.listen({ context })
    const peer = await endpoint.connect(await wheel.info())
    const receive = await wheel.recv('buffer', 0, 1000, { exactSize: true })
    await peer.send(Buffer.alloc(length, 0xff))
    t.is(await wheel.settle(receive), status, `${length} bytes into 1000`)
    await context.close()
  }
  t.is(await wheel.sha256('buffer', 0, 1000), sha256(Buffer.alloc(1000, 0xff)))
})

withWheel('posted receives of either side are matched first in, first out', async (t, rig) => {
  const { endpoint, wheel, peer } = await pair(rig, 4096)
  await wheel.fill('buffer', contentKey('fifo'), 4096)
  const source = content('fifo', 4096)
  const slots = [1, 2, 3].map(() => endpoint.recv(new Uint8Array(64)))
  for (const [i, slot] of slots.entries()) {
    await wheel.send('buffer', i * 64, 64)
    await isMessage(t, slot, source.subarray(i * 64, i * 64 + 64))
  }

  const posted = []
  for (const i of [0, 1, 2]) posted.push(await wheel.recv('buffer', i * 100, 100))
  await Promise.all([0, 1, 2].map((i) => peer.send(content(`message ${i}`, 100))))
  for (const i of [0, 1, 2]) {
    t.is(await wheel.settle(posted[i]!), 0)
    t.is(await wheel.sha256('buffer', i * 100, 100), sha256(content(`message ${i}`, 100)))
  }
})

withWheel('an empty message of the wheel matches no receive', async (t, rig) => {
  const { endpoint, wheel } = await pair(rig, 4096)
  await wheel.fill('buffer', contentKey('empty'), 4096)
  const receive = endpoint.recv(new Uint8Array(64))
  t.is(await wheel.settle(await wheel.send('buffer', 0, 0)), 0)
  const accepted = await eventually(
    () => endpoint.stats().connections,
    ({ open }) => open === 0,
  )
  t.is(accepted.open, 0, 'memlane has seen the end of the connection that carried it')
  await wheel.send('buffer', 0, 64)
  await isMessage(t, receive, content('empty', 64))
})

async function isMessage(t: ExecutionContext, receive: PromiseLike<{ data: Uint8Array }>, expected: Buffer): Promise<void> {
  t.is(sha256((await receive).data), sha256(expected))
}
