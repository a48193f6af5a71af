import test from 'ava'
import { Random, seed } from './support/raw-random'
import { counting, endpoint, fill, pair, same, thrown, url } from './support/pair'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

test('a message lands in the receive that was posted, and both sides are told', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const buffer = new Uint8Array(16)
  const receive = target.recv(buffer)
  t.is(await peer.send(Buffer.from('hello'), { tag: 7 }), 5)
  const received = await receive
  t.like(received, { bytes: 5, messageBytes: 5, tag: 7, truncated: false })
  t.is(text(received.data), 'hello')
  t.is(received.data.buffer, buffer.buffer, 'a view over the target, not a copy')
  t.regex(received.from, /^127\.0\.0\.1:\d+$/)
  t.is(text(buffer.subarray(5)), '\0'.repeat(11))
  t.is(initiator.stats().bytes.sent, 5)
  t.is(target.stats().bytes.received, 5)
})

test('messages of any size arrive whole, from and into regions and views', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const sizes = [0, 1, 17, 4096, 65_537, (1 << 20) + 1, 5 << 20]
  const largest = Math.max(...sizes) + 64
  const local = initiator.alloc('local', largest)
  const inbox = target.alloc('inbox', largest)
  const content = counting(largest)
  fill(local.buffer, content)
  const random = new Random('messages')
  for (const length of sizes) {
    for (const source of [local, content]) {
      for (const into of [inbox, new Uint8Array(largest)]) {
        const offset = random.below(64)
        const sourceOffset = random.below(64)
        const receive = target.recv(into, { offset })
        t.is(await peer.send(source, { sourceOffset, length }), length)
        const { bytes, truncated, data } = await receive
        t.deepEqual({ bytes, truncated }, { bytes: length, truncated: false })
        const what = `${length} bytes, MEMLANE_SEED=${seed}`
        same(t, data, content.subarray(sourceOffset, sourceOffset + length), what)
        t.is(data.byteOffset, offset, what)
      }
    }
  }
})

test('receives take messages in the order in which both were posted', async (t) => {
  const { target, peer } = await pair(t)
  const early = [1, 2, 3].map(() => target.recv(new Uint8Array(1)))
  await Promise.all([1, 2, 3, 4, 5].slice(0, 3).map((byte) => peer.send(Uint8Array.of(byte))))
  t.deepEqual((await Promise.all(early)).map(({ data }) => data[0]), [1, 2, 3])
  const sends = [4, 5, 6].map((byte) => peer.send(Uint8Array.of(byte)))
  const late = [1, 2, 3].map(() => target.recv(new Uint8Array(1)))
  t.deepEqual((await Promise.all(late)).map(({ data }) => data[0]), [4, 5, 6])
  t.deepEqual(await Promise.all(sends), [1, 1, 1])
})

test('a receive with a tag takes only messages of that tag, and others keep their order', async (t) => {
  const { target, peer } = await pair(t)
  const seven = target.recv(new Uint8Array(8), { tag: 7 })
  const any = target.recv(new Uint8Array(8))
  const large = target.recv(new Uint8Array(8), { tag: Number.MAX_SAFE_INTEGER })
  await peer.send(Buffer.from('one'), { tag: 1 })
  await peer.send(Buffer.from('large'), { tag: Number.MAX_SAFE_INTEGER })
  await peer.send(Buffer.from('seven'), { tag: 7n })
  t.like(await any, { tag: 1, bytes: 3 })
  t.like(await large, { tag: Number.MAX_SAFE_INTEGER, bytes: 5 })
  t.like(await seven, { tag: 7, bytes: 5 })
  const none = target.recv(new Uint8Array(8), { tag: 0 })
  await peer.send(Buffer.from('untagged'))
  t.like(await none, { tag: 0, bytes: 8 })
})

test('a message whose tag nobody waits for holds up no other', async (t) => {
  const { target, peer } = await pair(t)
  const waiting = peer.send(Buffer.from('tagged'), { tag: 9 })
  const receive = target.recv(new Uint8Array(8), { tag: 1 })
  await peer.send(Buffer.from('passes'), { tag: 1 })
  t.is(text((await receive).data), 'passes')
  t.is(await waiting.waitFor(0), null)
  t.is(text((await target.recv(new Uint8Array(8), { tag: 9 })).data), 'tagged')
  t.is(await waiting, 6)
})

test('a message longer than its receive is cut, and both sides are told', async (t) => {
  const { target, peer } = await pair(t)
  const buffer = new Uint8Array(8)
  const receive = target.recv(buffer, { offset: 2, length: 4 })
  const error = await t.throwsAsync(peer.send(Buffer.from('123456789')).wait())
  t.like(error, { code: 'ERR_MESSAGE_SIZE', operation: 'send', origin: 'remote', peer: `127.0.0.1:${target.port}` })
  t.like(await receive, { bytes: 4, messageBytes: 9, truncated: true })
  t.is(text(buffer), '\0\x001234\0\0')
  const next = target.recv(buffer)
  await peer.send(Buffer.from('next'))
  t.is(text((await next).data), 'next', 'the rest of it is nobody\'s message')
})

test('exactSize refuses any other length, consumes that message, and takes the exact one', async (t) => {
  const { target, peer } = await pair(t)
  for (const wrong of ['123', '12345']) {
    const receive = target.recv(new Uint8Array(4), { exactSize: true })
    const sent = peer.send(Buffer.from(wrong)).wait()
    await t.throwsAsync(sent, { code: 'ERR_MESSAGE_SIZE' }, wrong)
    t.like(await t.throwsAsync(receive.wait()), { code: 'ERR_MESSAGE_SIZE', operation: 'recv' }, wrong)
  }
  const receive = target.recv(new Uint8Array(4), { exactSize: true })
  t.is(await peer.send(Buffer.from('1234')), 4)
  t.is(text((await receive).data), '1234')
})

test('an empty message is a message', async (t) => {
  const { target, peer } = await pair(t)
  const receive = target.recv(new Uint8Array(4))
  t.is(await peer.send(new Uint8Array(0), { tag: 3 }), 0)
  t.like(await receive, { bytes: 0, messageBytes: 0, tag: 3, truncated: false })
  const into = target.recv(new Uint8Array(0))
  await peer.send(new Uint8Array(0))
  t.like(await into, { bytes: 0, truncated: false })
})

test('a send waits for its receive', async (t) => {
  const { target, peer } = await pair(t)
  const sent = peer.send(Buffer.from('wait'))
  t.is(await sent.waitFor(0.01), null)
  t.is(text((await target.recv(new Uint8Array(8))).data), 'wait')
  t.is(await sent, 4)
})

test('a message that nobody receives in time fails with ERR_NO_RECEIVE and is dropped', async (t) => {
  const { target, peer } = await pair(t, { unexpectedTimeoutMs: 50 })
  const lost = await t.throwsAsync(peer.send(Buffer.from('lost')).wait())
  t.like(lost, { code: 'ERR_NO_RECEIVE', operation: 'send', retryable: true, peer: `127.0.0.1:${target.port}` })
  const next = target.recv(new Uint8Array(8))
  await peer.send(Buffer.from('next'))
  t.is(text((await next).data), 'next')
})

test('a send that nobody receives keeps its deadline, and may have arrived', async (t) => {
  const { target, peer } = await pair(t)
  await Promise.all([target.recv(new Uint8Array(8)), peer.send(Buffer.from('connects'))])
  const error = await t.throwsAsync(peer.send(Buffer.from('late'), { timeoutMs: 200 }).wait())
  t.like(error, { code: 'ERR_TIMEOUT', operation: 'send', outcome: 'unknown' })
})

test('a send has copied its view when the call returns', async (t) => {
  const { target, peer } = await pair(t)
  const message = Buffer.from('before')
  const sent = peer.send(message)
  message.fill('x')
  t.is(text((await target.recv(new Uint8Array(8))).data), 'before')
  t.is(await sent, 6)
})

test('several peers send to one endpoint, and each message says who sent it', async (t) => {
  const target = await endpoint(t)
  const senders = await Promise.all([1, 2, 3].map(() => endpoint(t)))
  const peers = await Promise.all(senders.map((sender) => sender.connect(url(target))))
  const receives = Array.from({ length: 30 }, () => target.recv(new Uint8Array(1)))
  await Promise.all(peers.flatMap((peer, index) => Array.from({ length: 10 }, () => peer.send(Uint8Array.of(index)))))
  const received = await Promise.all(receives)
  t.is(new Set(received.map(({ from }) => from)).size, 3)
  for (const index of [0, 1, 2]) {
    t.is(new Set(received.filter(({ data }) => data[0] === index).map(({ from }) => from)).size, 1)
  }
})

test('a target that was detached meanwhile fails the receive, and the endpoint goes on', async (t) => {
  const { target, peer } = await pair(t)
  const buffer = new Uint8Array(8)
  const receive = target.recv(buffer)
  structuredClone(buffer, { transfer: [buffer.buffer] })
  await peer.send(Buffer.from('gone'))
  t.like(await t.throwsAsync(receive.wait()), { code: 'ERR_UNSAFE_MEMORY' })
  const next = target.recv(new Uint8Array(8))
  await peer.send(Buffer.from('next'))
  t.is(text((await next).data), 'next')
})

test('closing an endpoint fails its posted receives and the sends that wait for them', async (t) => {
  const { target, peer } = await pair(t)
  const receive = target.recv(new Uint8Array(8), { tag: 1 })
  const waiting = peer.send(Buffer.from('x'), { tag: 2 })
  // Messages of one endpoint come in order: behind this one, the other is there and waits.
  await Promise.all([target.recv(new Uint8Array(8), { tag: 3 }), peer.send(Buffer.from('y'), { tag: 3 })])
  t.is(await waiting.waitFor(0), null)
  await target.close()
  t.like(await t.throwsAsync(receive.wait()), { code: 'ERR_CLOSED', operation: 'recv', origin: 'local' })
  t.like(await t.throwsAsync(waiting.wait()), { code: 'ERR_PEER_CLOSED', operation: 'send' })
  t.like(thrown(() => target.recv(new Uint8Array(8))), { code: 'ERR_CLOSED' })
})
