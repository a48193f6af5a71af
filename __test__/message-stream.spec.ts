import test from 'ava'
import { type Received } from 'memlane'
import { Random, seed } from './support/raw-random'
import { counting, endpoint, pair, same, thrown, url } from './support/pair'

const text = ({ data }: Received) => Buffer.from(data).toString()

test('messages come whole, in the order of their sender, each in memory of its own', async (t) => {
  const { target, peer, initiator } = await pair(t)
  const random = new Random('stream')
  const sent = Array.from({ length: 500 }, (_, index) => ({ tag: index, bytes: counting(random.below(3000), index) }))
  const sending = Promise.all(sent.map(({ tag, bytes }) => peer.send(bytes, { tag }).wait()))
  const received: Received[] = []
  for await (const message of target.messages()) {
    received.push(message)
    if (received.length === sent.length) break
  }
  await sending
  for (const [index, { tag, bytes }] of sent.entries()) {
    const { data, ...rest } = received[index]!
    t.like(rest, { tag, bytes: bytes.length, messageBytes: bytes.length, truncated: false }, `MEMLANE_SEED=${seed}`)
    t.is(data.buffer.byteLength, bytes.length)
    same(t, data, bytes)
  }
  t.regex(received[0]!.from, /^127\.0\.0\.1:\d+$/)
  t.is(initiator.stats().operations.sends, 500)
})

test('two senders: each one keeps its order', async (t) => {
  const { target, peer } = await pair(t)
  const other = await (await endpoint(t, { maxConnections: 8 })).connect(url(target))
  const stream = target.messages({ buffered: 3 })
  const sending = [peer, other].flatMap((from, tag) => Array.from({ length: 100 }, (_, index) => from.send(Uint8Array.of(index), { tag }).wait()))
  const got: number[][] = [[], []]
  for (let count = 0; count < 200; count++) {
    const { value } = await stream.next()
    got[Number(value.tag)]!.push(value.data[0]!)
  }
  await Promise.all(sending)
  const all = Array.from({ length: 100 }, (_, index) => index)
  t.deepEqual(got, [all, all])
  await stream.return?.()
})

test('a message longer than maxBytes is cut, and its sender is told', async (t) => {
  const { target, peer } = await pair(t)
  const stream = target.messages({ maxBytes: 4 })
  const next = stream.next()
  const error = await t.throwsAsync(peer.send(Buffer.from('too long')).wait())
  t.like(error, { code: 'ERR_MESSAGE_SIZE' })
  const { value } = await next
  t.like(value, { bytes: 4, messageBytes: 8, truncated: true })
  t.is(text(value), 'too ')
  await stream.return?.()
  const empty = target.messages({ maxBytes: 0 })
  const sent = peer.send(new Uint8Array(0), { tag: 5 })
  t.like((await empty.next()).value, { bytes: 0, tag: 5, truncated: false })
  await sent
  await empty.return?.()
})

test('a tag takes the messages of that tag and leaves the others', async (t) => {
  const { target, peer } = await pair(t)
  const stream = target.messages({ tag: 2, buffered: 1 })
  const sending = [1, 2, 1, 2].map((tag, index) => peer.send(Uint8Array.of(index), { tag }).wait())
  t.is((await stream.next()).value.data[0], 1)
  t.is((await stream.next()).value.data[0], 3)
  await stream.return?.()
  for (const index of [0, 2]) t.is((await target.recv(new Uint8Array(1))).data[0], index)
  await Promise.all(sending)
})

test('so many messages are taken ahead of the reader, and no more', async (t) => {
  const { target, peer } = await pair(t)
  const stream = target.messages({ buffered: 3 })
  const first = stream.next()
  const sent = Array.from({ length: 10 }, (_, index) => peer.send(Uint8Array.of(index)))
  // What was acknowledged as received: 1 that was read, and 3 ahead. The others are kept, and not acknowledged.
  await Promise.all(sent.slice(0, 4))
  t.is((await first).value.data[0], 0)
  t.is(target.stats().operations.receives, 4)
  t.is(sent[4]!.waitSync(0), null)
  t.is((await stream.next()).value.data[0], 1)
  await sent[4]
  t.is(target.stats().operations.receives, 5, 'one was read, one more is taken')
  t.is(sent[5]!.waitSync(0), null)
  for (let index = 2; index < 10; index++) t.is((await stream.next()).value.data[0], index)
  await Promise.all(sent)
  await stream.return?.()
})

test('many readers at once get one message each, in their order', async (t) => {
  const { target, peer } = await pair(t)
  const stream = target.messages({ buffered: 2 })
  const readers = Array.from({ length: 7 }, () => stream.next())
  for (let index = 0; index < 7; index++) await peer.send(Uint8Array.of(index))
  t.deepEqual((await Promise.all(readers)).map(({ value }) => value.data[0]), [0, 1, 2, 3, 4, 5, 6])
  await stream.return?.()
})

test('leaving the loop withdraws what was posted: the next message is for the next receive', async (t) => {
  const { target, peer } = await pair(t)
  const sending = peer.send(Buffer.from('one'))
  for await (const message of target.messages({ buffered: 1 })) {
    t.is(text(message), 'one')
    break
  }
  await sending
  const receive = target.recv(new Uint8Array(8))
  t.is(await peer.send(Buffer.from('two')), 3)
  t.is(text(await receive), 'two')
})

test('return ends readers that wait, and drops what was taken and not read', async (t) => {
  const { target, peer } = await pair(t)
  const stream = target.messages({ buffered: 2 })
  const reader = stream.next()
  const sent = [1, 2, 3, 4].map((byte) => peer.send(Uint8Array.of(byte)))
  t.is((await reader).value.data[0], 1)
  await Promise.all(sent.slice(0, 3))
  t.deepEqual(await stream.return?.(), { done: true, value: undefined })
  t.deepEqual(await stream.next(), { done: true, value: undefined })
  t.is((await target.recv(new Uint8Array(1))).data[0], 4, 'what was not taken is there')

  const idle = target.messages()
  const waiting = [idle.next(), idle.next()]
  await idle[Symbol.asyncDispose]()
  t.deepEqual(await Promise.all(waiting), waiting.map(() => ({ done: true, value: undefined })))
  t.deepEqual(await target.messages().return?.(), { done: true, value: undefined }, 'also before anybody read')
})

test('a signal ends a loop with ERR_ABORTED and its reason, and withdraws what was posted', async (t) => {
  const { target, peer } = await pair(t)
  const controller = new AbortController()
  const reason = new Error('enough')
  const got: string[] = []
  const loop = (async () => {
    for await (const message of target.messages({ signal: controller.signal })) {
      got.push(text(message))
      controller.abort(reason)
    }
  })()
  await peer.send(Buffer.from('one'))
  const error = await t.throwsAsync(loop, { code: 'ERR_ABORTED' } as object)
  t.is(error?.cause, reason)
  t.deepEqual(got, ['one'])
  const receive = target.recv(new Uint8Array(8))
  await peer.send(Buffer.from('two'))
  t.is(text(await receive), 'two')
})

test('after a signal no message is taken any more, also when there is room again', async (t) => {
  const { target, peer } = await pair(t)
  const controller = new AbortController()
  const stream = target.messages({ buffered: 1, signal: controller.signal })
  const first = stream.next()
  const sent = [1, 2, 3].map((byte) => peer.send(Uint8Array.of(byte)))
  t.is((await first).value.data[0], 1)
  await sent[1]
  controller.abort()
  t.is((await stream.next()).value.data[0], 2)
  await t.throwsAsync(stream.next(), { code: 'ERR_ABORTED' } as object)
  t.is((await target.recv(new Uint8Array(1))).data[0], 3, 'it is there for whoever comes next')
  await sent[2]
})

test('after a signal the messages that were taken come first, then its error once, then nothing more', async (t) => {
  const { target, peer } = await pair(t)
  for (const buffered of [3, 16]) {
    const controller = new AbortController()
    const stream = target.messages({ buffered, signal: controller.signal })
    const first = stream.next()
    for (const byte of [1, 2, 3, 4]) await peer.send(Uint8Array.of(byte))
    t.is((await first).value.data[0], 1)
    controller.abort()
    const rest = [(await stream.next()).value.data[0], (await stream.next()).value.data[0], (await stream.next()).value.data[0]]
    t.deepEqual(rest, [2, 3, 4], `${buffered} buffered`)
    await t.throwsAsync(stream.next(), { code: 'ERR_ABORTED' } as object)
    t.deepEqual(await stream.next(), { done: true, value: undefined })
  }
  const waiting = new AbortController()
  const stream = target.messages({ signal: waiting.signal })
  const readers = [stream.next(), stream.next()]
  waiting.abort()
  await t.throwsAsync(readers[0]!, { code: 'ERR_ABORTED' } as object)
  t.deepEqual(await readers[1], { done: true, value: undefined })
  const late = target.messages({ signal: AbortSignal.abort('long ago') })
  t.is((await t.throwsAsync(late.next(), { code: 'ERR_ABORTED' } as object))?.cause, 'long ago')
  const leaving = new AbortController()
  const left = target.messages({ buffered: 2, signal: leaving.signal })
  const one = left.next()
  for (const byte of [1, 2]) await peer.send(Uint8Array.of(byte))
  await one
  leaving.abort()
  const other = target.recv(new Uint8Array(1))
  await peer.send(Uint8Array.of(3))
  t.is((await other).data[0], 3)
  t.deepEqual(await left.return?.(), { done: true, value: undefined })
  t.deepEqual(await left.next(), { done: true, value: undefined }, 'whoever has left gets no error')
  t.like(thrown(() => target.messages({ signal: 1 as never })), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('throw withdraws what was posted and rejects with what was thrown', async (t) => {
  const { target } = await pair(t)
  const stream = target.messages()
  const waiting = stream.next()
  const error = new Error('enough')
  t.is(await t.throwsAsync(stream.throw!(error)), error)
  t.deepEqual(await waiting, { done: true, value: undefined })
})

test('messages end when the endpoint closes, after those that were taken', async (t) => {
  const { target, peer } = await pair(t)
  const stream = target.messages()
  const first = stream.next()
  for (const byte of [1, 2, 3]) await peer.send(Uint8Array.of(byte))
  t.is((await first).value.data[0], 1)
  await target.close()
  const rest: number[] = []
  for await (const { data } of stream) rest.push(data[0]!)
  t.deepEqual(rest, [2, 3])
  t.deepEqual(await stream.next(), { done: true, value: undefined })
  t.like(thrown(() => target.messages()), { name: 'MemlaneError', code: 'ERR_CLOSED' })

  const { target: other } = await pair(t)
  const unread = other.messages()
  const pending = other.messages().next()
  await other.close()
  t.deepEqual(await unread.next(), { done: true, value: undefined })
  t.deepEqual(await pending, { done: true, value: undefined })
})

test('options that make no sense are refused at the call', async (t) => {
  const { target } = await pair(t)
  const wrong: [object | null, string, string][] = [
    [null, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ exactSize: true }, 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    [{ tag: -1 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ maxBytes: '1' }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ maxBytes: -1 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ buffered: 0 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ buffered: 65_537 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
  ]
  for (const [options, name, code] of wrong) t.like(thrown(() => target.messages(options as object)), { name, code })
  const stream = target.messages({ maxBytes: 2 ** 52 })
  await t.throwsAsync(stream.next(), { code: 'ERR_MEMORY' })
  t.deepEqual(await stream.next(), { done: true, value: undefined })
})
