import { dirname, join } from 'node:path'
import anyTest, { type TestFn } from 'ava'
import { type Peer, TcpContext, TcpEndpoint } from 'memlane'
import { thrown, url } from './support/pair'

// Every number that a call takes, the range it has to be in, and what it counts: the error of a wrong one says all three.

const test = anyTest as TestFn<{ target: TcpEndpoint; peer: Peer }>

test.before(async (t) => {
  const target = await TcpEndpoint.listen()
  target.alloc('x', 100, { access: 'readwrite' })
  t.context = { target, peer: await target.connect(url(target)) }
})
test.after.always(async (t) => {
  await t.context.target.close()
})

const MOST = 2 ** 53 - 1
const TIMEOUT = `timeoutMs must be an integer from 0 to ${2 ** 31 - 1} milliseconds`
const bytes = (name: string, least = 0) => `${name} must be an integer from ${least} to ${MOST} bytes`
const view = new Uint8Array(8)

type Act = (context: { target: TcpEndpoint; peer: Peer }, wrong: number) => unknown
const numbers: [call: string, expected: string, act: Act][] = [
  ['listen({ port })', 'port must be an integer from 0 to 65535', (_, port) => TcpEndpoint.listen({ port })],
  ['alloc(length)', bytes('length', 1), ({ target }, length) => target.alloc('y', length)],
  ['connect({ timeoutMs })', TIMEOUT, ({ target }, timeoutMs) => target.connect('tcp://127.0.0.1:1', { timeoutMs })],
  ['recv({ tag })', `tag must be an integer from 0 to ${MOST}`, ({ target }, tag) => target.recv(view, { tag })],
  ['recv({ offset })', bytes('offset'), ({ target }, offset) => target.recv(view, { offset })],
  ['recv({ length })', bytes('length'), ({ target }, length) => target.recv(view, { length })],
  ['messages({ maxBytes })', bytes('maxBytes'), ({ target }, maxBytes) => target.messages({ maxBytes })],
  ['messages({ buffered })', 'buffered must be an integer from 1 to 65536 messages', ({ target }, buffered) => target.messages({ buffered })],
  ['read({ remoteOffset })', bytes('remoteOffset'), ({ peer }, remoteOffset) => peer.read('x', { remoteOffset })],
  ['read({ intoOffset })', bytes('intoOffset'), ({ peer }, intoOffset) => peer.read('x', { into: view, intoOffset })],
  ['read({ length })', bytes('length'), ({ peer }, length) => peer.read('x', { length })],
  ['read({ timeoutMs })', TIMEOUT, ({ peer }, timeoutMs) => peer.read('x', { timeoutMs })],
  ['write({ remoteOffset })', bytes('remoteOffset'), ({ peer }, remoteOffset) => peer.write('x', view, { remoteOffset })],
  ['write({ sourceOffset })', bytes('sourceOffset'), ({ peer }, sourceOffset) => peer.write('x', view, { sourceOffset })],
  ['write({ length })', bytes('length'), ({ peer }, length) => peer.write('x', view, { length })],
  ['write({ timeoutMs })', TIMEOUT, ({ peer }, timeoutMs) => peer.write('x', view, { timeoutMs })],
  ['send({ tag })', `tag must be an integer from 0 to ${MOST}`, ({ peer }, tag) => peer.send(view, { tag })],
  ['send({ sourceOffset })', bytes('sourceOffset'), ({ peer }, sourceOffset) => peer.send(view, { sourceOffset })],
  ['send({ timeoutMs })', TIMEOUT, ({ peer }, timeoutMs) => peer.send(view, { timeoutMs })],
  ['refresh({ timeoutMs })', TIMEOUT, ({ peer }, timeoutMs) => peer.refresh({ timeoutMs })],
  ['readBatch({ timeoutMs })', TIMEOUT, ({ peer }, timeoutMs) => peer.readBatch([], { timeoutMs })],
  ['readBatch of a length', bytes('assignments[0].length'), ({ peer }, length) => peer.readBatch([{ remote: 'x', local: view, length }])],
  ['writeBatch of an offset', bytes('assignments[0].localOffset'), ({ peer }, localOffset) => peer.writeBatch([{ remote: 'x', local: view, localOffset }])],
  ['copyOut(offset)', bytes('offset'), ({ target }, offset) => target.alloc(`z${Math.random()}`, 8).copyOut(offset)],
  ['waitFor(seconds)', 'seconds must be a number from 0 to 2147483 seconds', ({ peer }, seconds) => peer.refresh().waitFor(seconds)],
]

for (const [call, expected, act] of numbers) {
  test(`a number that is out of range is refused with its name, range and unit: ${call}`, (t) => {
    for (const wrong of [-1, -(2 ** 60)]) {
      const error = thrown(() => act(t.context, wrong))
      t.like(error, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
      t.is(error.message, `${expected}; got ${wrong}`)
    }
  })
}

test('every limit that is out of range is refused with its name, range and unit', (t) => {
  const root = dirname(require.resolve('memlane/package.json'))
  const { limitTable } = require(join(root, 'native.js')) as { limitTable(): { name: string; least: number; most: number }[] }
  const units = ['threads', 'connections', 'bytes', 'messages', 'milliseconds']
  const said = limitTable().map(({ name, least, most }) => {
    const { message } = thrown(() => new TcpContext({ [name]: most + 1 }))
    const unit = units.find((word) => message === `${name} must be an integer from ${least} to ${most} ${word}; got ${most + 1}`)
    t.truthy(unit, message)
    return `${name}: ${unit}`
  })
  for (const one of ['ioThreads: threads', 'lanesPerPeer: connections', 'maxOperationBytes: bytes', 'maxUnexpectedMessages: messages', 'drainMs: milliseconds']) {
    t.true(said.includes(one), one)
  }
})
