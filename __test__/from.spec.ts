import test from 'ava'
import type { ExecutionContext } from 'ava'
import { type EndpointInfo, type Peer, TcpContext, TcpEndpoint } from 'memlane'
import { endpoint, pair, thrown, url } from './support/pair'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

interface Mutual {
  here: TcpEndpoint
  there: TcpEndpoint
  /** `there`, as `here` sees it. */
  peer: Peer
  /** `here`, as `there` sees it. */
  back: Peer
}

/** Two endpoints that are connected to each other. */
async function mutual(t: ExecutionContext, here?: TcpEndpoint): Promise<Mutual> {
  here ??= await endpoint(t)
  const there = await endpoint(t)
  return { here, there, peer: await here.connect(url(there)), back: await there.connect(url(here)) }
}

/** Until what was sent before has come: messages of one endpoint come in order. */
async function arrived(here: TcpEndpoint, sender: Peer): Promise<void> {
  const last = here.recv(new Uint8Array(0), { tag: 4321 })
  await sender.send(new Uint8Array(0), { tag: 4321 })
  await last
}

test('a receive from one peer takes only its messages, in their order; others go to other receives', async (t) => {
  const one = await mutual(t)
  const { here } = one
  const two = await mutual(t, here)
  const fromTwo = here.recv(new Uint8Array(8), { from: two.peer })
  const fromOne = here.recv(new Uint8Array(8), { from: one.peer })
  const alsoFromOne = here.recv(new Uint8Array(8), { from: one.peer })
  const anybody = here.recv(new Uint8Array(8))
  await one.back.send(Buffer.from('1a'))
  await one.back.send(Buffer.from('1b'))
  await one.back.send(Buffer.from('1c'))
  await two.back.send(Buffer.from('2a'))
  t.deepEqual((await Promise.all([fromTwo, fromOne, alsoFromOne, anybody])).map(({ data }) => text(data)), ['2a', '1a', '1b', '1c'])
})

test('messages that came first are found by their sender, and by tag and sender together', async (t) => {
  const one = await mutual(t)
  const { here } = one
  const two = await mutual(t, here)
  const sends = [
    one.back.send(Buffer.from('1/5'), { tag: 5 }),
    one.back.send(Buffer.from('1/6'), { tag: 6 }),
  ]
  await arrived(here, one.back)
  sends.push(two.back.send(Buffer.from('2/6'), { tag: 6 }))
  const take = async (options: { from?: Peer; tag?: number }) => text((await here.recv(new Uint8Array(8), options)).data)
  t.is(await take({ from: two.peer, tag: 6 }), '2/6')
  t.is(await take({ from: one.peer, tag: 6 }), '1/6')
  t.is(await take({ from: one.peer }), '1/5')
  t.deepEqual(await Promise.all(sends), [3, 3, 3])
})

test('endpoints of one context are told apart, though they share their connections for reads', async (t) => {
  const context = new TcpContext()
  t.teardown(() => context.close())
  const here = await endpoint(t)
  here.alloc('x', 8, { access: 'read' })
  const senders = await Promise.all([0, 1, 2].map(() => TcpEndpoint.listen({ context })))
  const peers = await Promise.all(senders.map((sender) => here.connect(url(sender))))
  const backs = await Promise.all(senders.map((sender) => sender.connect(url(here))))
  await Promise.all(backs.map((back) => back.read('x')))
  t.is(here.stats().connections.accepted, 1)
  const receives = peers.map((from) => here.recv(new Uint8Array(1), { from }))
  for (const index of [2, 0, 1]) await backs[index]?.send(Uint8Array.of(index))
  const received = await Promise.all(receives)
  t.deepEqual(received.map(({ data }) => data[0]), [0, 1, 2])
  t.true(received.every(({ peer }, index) => peer === peers[index]))
  t.is(here.stats().connections.accepted, 4)
})

test('a message names its sender where it is an open peer, so that it can be answered', async (t) => {
  const { here, there, peer, back } = await mutual(t)
  const receive = here.recv(new Uint8Array(8))
  await back.send(Buffer.from('ask'))
  const asked = await receive
  t.is(asked.peer, peer)
  const answer = there.recv(new Uint8Array(8))
  await asked.peer?.send(Buffer.from('answer'))
  t.like(await answer, { bytes: 6, peer: back })
  await peer.close()
  const next = here.recv(new Uint8Array(8))
  await back.send(Buffer.from('ask'))
  t.false('peer' in (await next))
})

test('a message of somebody that this side is not connected to, or on the legacy wire, names nobody', async (t) => {
  const { target, peer } = await pair(t)
  const stranger = target.recv(new Uint8Array(8))
  await peer.send(Buffer.from('hello'))
  t.false('peer' in (await stranger))
  const { here, back, there } = await mutual(t)
  const { memlane: _, ...foreign } = JSON.parse(JSON.stringify(here.endpointInfo())) as EndpointInfo
  const legacy = await there.connect(foreign)
  const receive = here.recv(new Uint8Array(8))
  await legacy.send(Buffer.from('hello'))
  t.false('peer' in (await receive))
  t.is(back.wire, 'native')
})

test('a notification is a message of the endpoint that wrote', async (t) => {
  const { here, peer, back } = await mutual(t)
  here.alloc('inbox', 8, { access: 'readwrite' })
  const told = here.recv(new Uint8Array(16), { from: peer, tag: 4 })
  await back.write('inbox', Buffer.from('12345678'), { notify: 4 })
  t.like(await told, { tag: 4, bytes: 16, peer })
})

test('messages from one peer as a stream, which ends when that peer is closed', async (t) => {
  const one = await mutual(t)
  const { here } = one
  const two = await mutual(t, here)
  const stream = here.messages({ from: one.peer, buffered: 2 })
  const first = stream.next()
  const others = here.recv(new Uint8Array(8))
  await two.back.send(Buffer.from('two'))
  t.is(text((await others).data), 'two')
  await one.back.send(Buffer.from('a'))
  await one.back.send(Buffer.from('b'))
  t.is(text((await first).value?.data ?? new Uint8Array(0)), 'a')
  const { value } = await stream.next()
  t.is(text(value?.data ?? new Uint8Array(0)), 'b')
  t.is(value?.peer, one.peer)
  const last = stream.next()
  await one.peer.close()
  t.deepEqual(await last, { done: true, value: undefined })
})

test('closing a peer ends the receives that wait for it, and no others', async (t) => {
  const { here, peer, back } = await mutual(t)
  const theirs = here.recv(new Uint8Array(8), { from: peer })
  const any = here.recv(new Uint8Array(8))
  await peer.close()
  t.like(await t.throwsAsync(theirs.wait()), { code: 'ERR_CLOSED', operation: 'recv' })
  await back.send(Buffer.from('x'))
  t.is((await any).bytes, 1)
})

test('a cancelled receive from one peer consumes no message, and exactSize holds for its messages alone', async (t) => {
  const one = await mutual(t)
  const { here } = one
  const two = await mutual(t, here)
  const given = here.recv(new Uint8Array(8), { from: one.peer })
  given.cancel()
  await t.throwsAsync(given.wait(), { code: 'ERR_ABORTED' })
  const exact = here.recv(new Uint8Array(4), { from: one.peer, exactSize: true })
  const kept = two.back.send(Buffer.from('another size'))
  await t.throwsAsync(one.back.send(Buffer.from('123')).wait(), { code: 'ERR_MESSAGE_SIZE' })
  await t.throwsAsync(exact.wait(), { code: 'ERR_MESSAGE_SIZE' })
  t.is(text((await here.recv(new Uint8Array(16), { from: two.peer })).data), 'another size')
  t.is(await kept, 12)
})

test('a peer that is started anew is received from again once it was asked, also by receives posted before', async (t) => {
  const { here, there, peer, back } = await mutual(t)
  const first = here.recv(new Uint8Array(8), { from: peer })
  await back.send(Buffer.from('before'))
  t.is(text((await first).data), 'before')
  const posted = here.recv(new Uint8Array(8), { from: peer })
  const { port } = there
  await there.close()
  const again = await endpoint(t, { port })
  const anew = await again.connect(url(here))
  const sent = anew.send(Buffer.from('after'))
  // It came, and is nobody's whom this side knows.
  const unknown = here.recv(new Uint8Array(8))
  t.false('peer' in (await unknown))
  t.is(await sent, 5)
  const later = anew.send(Buffer.from('later'))
  await arrived(here, anew)
  t.is(await posted.waitFor(0), null)
  await peer.refresh()
  const { data, peer: sender } = await posted
  t.is(text(data), 'later')
  t.is(sender, peer)
  t.is(await later, 5)
  const next = here.recv(new Uint8Array(8), { from: peer })
  await anew.send(Buffer.from('next'))
  t.is(text((await next).data), 'next')
})

test('whom nothing can be received from is refused at the call, with the reason', async (t) => {
  const { here, there, peer, back } = await mutual(t)
  const refused = (from: unknown) => [
    thrown(() => here.recv(new Uint8Array(8), { from } as object)),
    thrown(() => here.messages({ from } as object)),
  ]
  for (const wrong of [null, 1, 'peer', {}, here, url(there)]) {
    for (const error of refused(wrong)) t.like(error, { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  }
  for (const error of refused(back)) {
    t.like(error, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
    t.regex(error.message, /peer of another endpoint/)
  }
  const legacy = await here.connect(url(there), { wire: 'legacy' })
  for (const error of refused(legacy)) {
    t.like(error, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
    t.regex(error.message, /legacy wire/)
  }
  await peer.close()
  for (const error of refused(peer)) t.like(error, { name: 'MemlaneError', code: 'ERR_CLOSED' })
})
