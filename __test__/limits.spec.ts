import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Limits, MemlaneError, TcpEndpoint } from 'memlane'
import { endpoint, pair, url } from './support/pair'
import { until } from './support/until'

/** Where each limit is reached: a file, and a test in it. */
const REACHED: Record<keyof Limits, [file: string, title: string]> = {
  ioThreads: ['__test__/context.spec.ts', 'twenty endpoints of one context take no thread'],
  lanesPerPeer: ['crates/engine/src/tests/links.rs', 'a_large_operation_uses_the_lanes_that_it_may'],
  maxConnections: ['__test__/limits.spec.ts', 'connections beyond maxConnections'],
  maxConnectionsPerSource: ['__test__/limits.spec.ts', 'connections beyond maxConnectionsPerSource'],
  maxOperationBytes: ['__test__/limits.spec.ts', 'a message beyond the maxOperationBytes of its peer'],
  maxQueuedBytesPerPeer: ['__test__/queued.spec.ts', '2 GiB of writes to a peer that never reads'],
  maxInfoBytes: ['__test__/limits.spec.ts', 'an endpoint info beyond the maxInfoBytes of either side'],
  maxUnexpectedBytes: ['__test__/limits.spec.ts', 'messages beyond maxUnexpectedBytes'],
  maxUnexpectedMessages: ['__test__/limits.spec.ts', 'messages beyond maxUnexpectedMessages'],
  unexpectedTimeoutMs: ['__test__/messages.spec.ts', 'a message that nobody receives in time'],
  connectTimeoutMs: ['crates/engine/src/tests/limits.rs', 'a_dial_that_gets_nowhere'],
  handshakeTimeoutMs: ['__test__/endpoint.spec.ts', 'fails the handshake at its deadline'],
  headerTimeoutMs: ['__test__/hostile-preface.spec.ts', 'connections that say too little'],
  progressTimeoutMs: ['crates/engine/src/tests/limits.rs', 'a_lane_whose_peer_moves_no_byte'],
  idleTimeoutMs: ['crates/engine/src/tests/pipe.rs', 'an_idle_lane_goes_before_the_target'],
  drainBytes: ['__test__/hostile-native.spec.ts', 'a refused 64 MiB WRITE whose payload is in flight'],
  drainMs: ['crates/engine/src/tests/pipe.rs', 'a_fence_waits_for_a_running_body_and_cuts_it'],
  sendBufferBytes: ['crates/engine/src/io/buffers.rs', 'a_socket_to_another_machine_has_other_buffers'],
  receiveBufferBytes: ['crates/engine/src/io/buffers.rs', 'a_socket_to_another_machine_has_other_buffers'],
  localSendBufferBytes: ['crates/engine/src/io/buffers.rs', 'a_connection_from_this_machine_is_known'],
  localReceiveBufferBytes: ['crates/engine/src/io/buffers.rs', 'a_connection_from_this_machine_is_known'],
}

test('every limit of the table has a test that reaches it', (t) => {
  const root = dirname(require.resolve('memlane/package.json'))
  const { limitTable } = require(join(root, 'native.js')) as { limitTable(): { name: string }[] }
  t.deepEqual(Object.keys(REACHED).sort(), limitTable().map(({ name }) => name).sort())
  for (const [name, [file, title]] of Object.entries(REACHED)) {
    t.true(readFileSync(join(root, file), 'utf8').includes(title), `${name}: ${file} has no test "${title}"`)
  }
})

test('docs/errors.md says of every limit what happens where it is reached', (t) => {
  const root = dirname(require.resolve('memlane/package.json'))
  const { limitTable } = require(join(root, 'native.js')) as { limitTable(): { name: string }[] }
  const [, section = ''] = readFileSync(join(root, 'docs', 'errors.md'), 'utf8').split('\n## Limits\n')
  const documented = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| `(\w+)` \| (.+) \|$/gm)]
  t.deepEqual(documented.map(([, name]) => name), limitTable().map(({ name }) => name))
})

/** What a limit's document says as a number: `1 GiB`, `5,000 ms`, `a day`, `1,024`. */
function numberOf(text: string): number {
  if (text === 'a day') return 86_400_000
  const [, digits = '', unit] = /^([\d,]+)(?: (KiB|MiB|GiB|TiB|ms))?$/.exec(text) ?? []
  const shift = ['KiB', 'MiB', 'GiB', 'TiB'].indexOf(unit ?? '') + 1
  return digits === '' ? NaN : Number(digits.replaceAll(',', '')) * 1024 ** shift
}

test('the document of every limit has the default and the range that hold', (t) => {
  const root = dirname(require.resolve('memlane/package.json'))
  const { limitTable } = require(join(root, 'native.js')) as { limitTable(): Record<'name' | 'default' | 'least' | 'most', unknown>[] }
  const source = readFileSync(join(root, 'src', 'options.ts'), 'utf8')
  const [, limits = ''] = /^export interface Limits \{\n(.*?)^\}/ms.exec(source) ?? []
  const documented = [...limits.matchAll(/\/\*\*(.*?)\*\/\s+(\w+)\?: Integer/gs)].map(([, text = '', name]) => {
    const said = text.replace(/\s+\*?\s*/g, ' ')
    const [, normal = '', least = '', most = ''] = /Default ([^;]+); (.+?) to (.+?)\. *$/.exec(said) ?? []
    return { name, default: numberOf(normal), least: numberOf(least), most: numberOf(most) }
  })
  t.deepEqual(documented, limitTable())
})

/** A connection that says nothing; it is gone when the test ends. */
async function dialled(t: ExecutionContext, target: TcpEndpoint): Promise<Socket> {
  const socket = connect(target.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

const connectionLimits: [keyof Limits & string, object][] = [
  ['maxConnections', { maxConnections: 3 }],
  ['maxConnectionsPerSource', { maxConnectionsPerSource: 3 }],
]
for (const [name, limits] of connectionLimits) {
  test(`connections beyond ${name} are closed at once and counted, and there is room again when one goes`, async (t) => {
    const target = await endpoint(t, limits)
    target.alloc('x', 8, { access: 'read' })
    const open = await Promise.all([dialled(t, target), dialled(t, target), dialled(t, target)])
    await until(() => target.stats().connections.open === 3)
    t.like(target.stats(), { connections: { accepted: 3, open: 3, refused: 0 }, rejected: { limit: 0 } })
    const [refused] = await Promise.all([dialled(t, target)].map(async (one) => once(await one, 'close')))
    t.truthy(refused)
    const initiator = await endpoint(t, { lanesPerPeer: 1 })
    await t.throwsAsync(initiator.connect(url(target)).wait(), { code: 'ERR_CONNECT' })
    t.like(target.stats(), { connections: { accepted: 3, open: 3, refused: 2 }, rejected: { limit: 2 } })
    t.regex(target.metrics(), /^memlane_connections_refused_total 2$/m)
    t.regex(target.metrics(), /^memlane_rejected_total\{status="limit"\} 2$/m)
    open[0]?.destroy()
    await until(() => target.stats().connections.open === 2)
    t.is((await (await initiator.connect(url(target))).read('x')).byteLength, 8)
  })
}

test('a message beyond the maxOperationBytes of its peer is ERR_LIMIT, which names the limit and the bytes', async (t) => {
  const { target, peer } = await pair(t, { maxOperationBytes: 1 << 20 })
  const most = target.recv(new Uint8Array(1 << 20))
  t.is(await peer.send(new Uint8Array(1 << 20)), 1 << 20)
  await most
  const error = await t.throwsAsync<MemlaneError>(peer.send(new Uint8Array((1 << 20) + 1)).wait())
  t.like(error, { code: 'ERR_LIMIT', origin: 'remote', retryable: false, operation: 'send' })
  t.regex(error?.message ?? '', /1048577 bytes.*maxOperationBytes/)
  t.is(target.stats().rejected['limit'], 1)
  target.alloc('x', 3 << 20, { access: 'write' })
  t.is(await peer.write('x', new Uint8Array(3 << 20)), 3 << 20, 'a longer write goes in pieces')
})

test('an endpoint info beyond the maxInfoBytes of either side is ERR_LIMIT, which says whose; within both it is taken', async (t) => {
  const name = (index: number) => `${index}`.padEnd(250, 'x')
  const listing = async (maxInfoBytes: number) => {
    const target = await endpoint(t, { maxInfoBytes })
    for (let index = 0; index < 4000; index++) target.alloc(name(index), 1, { access: 'read' })
    return target
  }
  const [stingy, generous] = await Promise.all([listing(1 << 20), listing(2 << 20)])
  const [few, many] = await Promise.all([endpoint(t), endpoint(t, { maxInfoBytes: 2 << 20 })])

  const refused = await t.throwsAsync<MemlaneError>(many.connect(url(stingy)).wait())
  t.like(refused, { code: 'ERR_LIMIT', origin: 'remote', operation: 'connect' })
  t.regex(refused?.message ?? '', /endpoint info is longer than its maxInfoBytes/)
  t.is(stingy.stats().rejected['limit'], 1)

  const own = await t.throwsAsync<MemlaneError>(few.connect(url(generous)).wait())
  t.like(own, { code: 'ERR_LIMIT', origin: 'local', operation: 'connect' })
  t.regex(own?.message ?? '', /maxInfoBytes is 1048576: the peer's endpoint info has 1\d{6} bytes/)

  const peer = await many.connect(url(generous))
  t.is(peer.regions.size, 4000)
  t.is((await peer.read(name(3999))).byteLength, 1)
  const info = generous.endpointInfo()
  t.is((await many.connect(info)).regions.size, 4000)
  t.throws(() => few.connect(info), { code: 'ERR_PROTOCOL', message: /at most 1048576 bytes/ })
})

const messageLimits: [keyof Limits & string, object, sizes: number[], kept: number][] = [
  ['maxUnexpectedBytes', { maxUnexpectedBytes: 1000 }, [600, 300, 200], 2],
  ['maxUnexpectedMessages', { maxUnexpectedMessages: 1 }, [10, 10], 1],
]
for (const [name, limits, sizes, kept] of messageLimits) {
  test(`messages beyond ${name} hold their sender back, and are received all the same`, async (t) => {
    const target = await endpoint(t, { ...limits, unexpectedTimeoutMs: 60_000 })
    const initiator = await endpoint(t, {})
    const peer = await initiator.connect(url(target))
    const sends = sizes.map((size, index) => peer.send(new Uint8Array(size), { tag: index }))
    // Behind what stays in the socket nothing is read: not even a message that somebody waits for.
    const behind = target.recv(new Uint8Array(1), { tag: 99 })
    const last = peer.send(new Uint8Array(1), { tag: 99 })
    t.is(await last.waitFor(0.2), null)
    t.is(kept < sizes.length, true)
    for (const [index, size] of sizes.entries()) {
      t.like(await target.recv(new Uint8Array(1000), { tag: index }), { bytes: size, tag: index })
    }
    t.like(await behind, { bytes: 1 })
    t.deepEqual(await Promise.all(sends), sizes)
    t.is(await last, 1)
    t.is(target.stats().rejected['limit'], 0, 'back-pressure, no refusal')
  })
}
