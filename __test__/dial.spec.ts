import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import test from 'ava'
import { type ListenOptions, type MemlaneError, TcpContext, TcpEndpoint } from 'memlane'
import { onLinux } from './support/linux'
import { endpoint, pair, thrown, url } from './support/pair'

const loopback = onLinux(test, 'only Linux has all of 127.0.0.0/8 on its loopback')

/** The address, without its port, that the next message to `target` comes from. */
async function origin(target: TcpEndpoint, sender: TcpEndpoint): Promise<string> {
  const peer = await sender.connect(url(target))
  const receive = target.recv(new Uint8Array(1))
  await peer.send(Uint8Array.of(1))
  return (await receive).from.replace(/:\d+$/, '')
}

// Linux has all of 127.0.0.0/8 on its loopback, others have 127.0.0.1.
loopback('connections to peers come from localAddress', async (t) => {
  const target = await endpoint(t)
  t.is(await origin(target, await endpoint(t)), '127.0.0.1')
  const initiator = await endpoint(t, { localAddress: '127.0.0.2' })
  t.is(initiator.host, '127.0.0.1', 'it is not where it listens')
  t.is(await origin(target, initiator), '127.0.0.2')
})

loopback('endpoints of a context share connections where their localAddress is the same', async (t) => {
  const target = await endpoint(t)
  target.alloc('x', 8, { access: 'read' })
  const context = new TcpContext()
  t.teardown(() => context.close())
  const reads = async (localAddress?: string) => {
    const options: ListenOptions = localAddress === undefined ? { context } : { context, localAddress }
    await (await (await TcpEndpoint.listen(options)).connect(url(target))).read('x')
    return target.stats().connections.accepted
  }
  t.is(await reads(), 1)
  t.is(await reads('127.0.0.2'), 2)
  t.is(await reads('127.0.0.3'), 3)
  t.is(await reads('127.0.0.2'), 3)
  t.is(await reads(), 3)
})

test('a localAddress of the other family, and one that is not ours, fail with ERR_CONNECT and say so', async (t) => {
  const target = await endpoint(t)
  const family = await endpoint(t, { localAddress: '::1' })
  const error = await t.throwsAsync(family.connect(url(target)).wait(), { code: 'ERR_CONNECT' })
  t.regex(error.message, /the peer has no IPv6 address, and localAddress is ::1/)
  const foreign = await endpoint(t, { localAddress: '192.0.2.1' })
  await t.throwsAsync(foreign.connect(url(target)).wait(), { code: 'ERR_CONNECT', message: /from localAddress 192\.0\.2\.1/ })
})

test('a localAddress that is no address is refused at the call', (t) => {
  const listen = (localAddress: unknown) => thrown(() => TcpEndpoint.listen({ localAddress } as object))
  for (const wrong of ['', 'localhost', '127.0.0', '127.0.0.1:80', '[::1]', 'fe80::1%lo']) {
    const error = listen(wrong)
    t.like(error, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }, wrong)
    t.regex(error.message, /^localAddress must be an IPv4 or IPv6 address/)
  }
  for (const wrong of [null, 1, {}]) t.like(listen(wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
})

test('the endpoint info carries what is advertised, and the endpoint tells where it listens', async (t) => {
  const cases: [string, string, number | undefined][] = [
    ['weights.example', 'weights.example', undefined],
    ['weights.example:7400', 'weights.example', 7400],
    ['192.0.2.7', '192.0.2.7', undefined],
    ['192.0.2.7:65535', '192.0.2.7', 65_535],
    ['2001:db8::7', '2001:db8::7', undefined],
    ['[2001:db8::7]', '2001:db8::7', undefined],
    ['[2001:db8::7]:1', '2001:db8::7', 1],
  ]
  for (const [advertise, host, port] of cases) {
    const owner = await endpoint(t, { advertise })
    t.like(owner.endpointInfo(), { host, port: port ?? owner.port }, advertise)
    t.is(owner.host, '127.0.0.1', advertise)
    t.is((await (await endpoint(t)).connect(url(owner))).port, owner.port, advertise)
  }
})

test('a peer that asks is told what is advertised, and reaches the endpoint by it', async (t) => {
  const target = await endpoint(t, { host: '0.0.0.0', advertise: '127.0.0.1', allowUnauthenticated: true })
  t.is(target.host, '0.0.0.0')
  target.alloc('x', 3, { access: 'read' })
  const initiator = await endpoint(t)
  const peer = await initiator.connect(target.endpointInfo())
  t.like(peer, { host: '127.0.0.1', port: target.port })
  t.is((await peer.read('x')).byteLength, 3)
})

test('what cannot be advertised is refused at the call', (t) => {
  const listen = (advertise: unknown) => thrown(() => TcpEndpoint.listen({ advertise } as object))
  for (const wrong of ['', ':80', 'a b', 'tcp://host:1', 'host:', 'host:port', 'host:123456', '[::1', '[host]:1', '::1:99999', 'host/']) {
    t.like(listen(wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }, wrong)
    t.regex(listen(wrong).message, /advertise/)
  }
  for (const wrong of [null, 1, {}, ['host']]) t.like(listen(wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  for (const port of [0, 65_536]) {
    const error = listen(`host:${port}`)
    t.like(error, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
    t.is(error.message, `the port of advertise must be an integer from 1 to 65535; got ${port}`)
  }
})

test('a name is reached by whichever of its addresses answers', async (t) => {
  // localhost has one address or two, of which the target listens on one.
  const { target } = await pair(t)
  target.alloc('x', 3, { access: 'read' })
  const peer = await (await endpoint(t)).connect(`tcp://localhost:${target.port}`)
  t.is((await peer.read('x')).byteLength, 3)
})

test('a peer that is gone is dialled less and less often, and reached at once when it is back', async (t) => {
  const target = await endpoint(t)
  target.alloc('x', 3, { access: 'read' })
  const initiator = await endpoint(t, { idleTimeoutMs: 60_000 })
  const peer = await initiator.connect(url(target))
  await peer.read('x')
  await target.close()
  const { dialled } = initiator.stats().lanes
  const deadline = performance.now() + 600
  let failures = 0
  for (; performance.now() < deadline; failures++) {
    const error = await t.throwsAsync(peer.read('x').wait())
    if (failures > 1) t.like(error, { code: 'ERR_CONNECT', operation: 'read', retryable: true })
  }
  // Waits of at least 10, 20, 40, 80, 160 and 250 ms lie between the dials of these 600 ms.
  const dials = initiator.stats().lanes.dialled - dialled
  t.true(dials <= 8, `${dials} dials for ${failures} reads`)
  const back = await endpoint(t, { port: target.port })
  back.alloc('x', 3, { access: 'read' })
  t.is((await peer.read('x', { timeoutMs: 5000 })).byteLength, 3)
})

test('a peer whose proxy hangs up at once is dialled no more often than one that refuses', async (t) => {
  const target = await endpoint(t)
  target.alloc('x', 3, { access: 'read' })
  let isUp = true
  let refused = 0
  const through = new Set<Socket>()
  const proxy = createServer((near) => {
    near.on('error', () => undefined)
    if (!isUp) {
      refused++
      near.destroy()
      return
    }
    const far = connect(target.port, '127.0.0.1').on('error', () => undefined)
    near.pipe(far).pipe(near)
    through.add(near).add(far)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    for (const socket of through) socket.destroy()
    proxy.close()
  })
  const { port } = proxy.address() as AddressInfo
  const peer = await (await endpoint(t)).connect(`tcp://127.0.0.1:${port}`)
  await peer.read('x')
  isUp = false
  for (const socket of through) socket.destroy()
  const deadline = performance.now() + 300
  let failures = 0
  for (; performance.now() < deadline; failures++) {
    const error = await t.throwsAsync(peer.read('x').wait())
    // An end is the one, a reset the other.
    t.true(['ERR_CONNECT', 'ERR_PEER_CLOSED'].includes((error as MemlaneError).code))
  }
  // Waits of at least 10, 20, 40, 80 and 160 ms.
  t.true(refused > 1 && refused <= 7, `${refused} dials for ${failures} reads`)
  isUp = true
  t.is((await peer.read('x', { timeoutMs: 5000 })).byteLength, 3)
})

test('a peer that resets the connection in the handshake was not reached: ERR_CONNECT, by one dial', async (t) => {
  const ways: ((socket: Socket) => void)[] = [
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.once('data', () => socket.resetAndDestroy()),
    (socket) => socket.once('data', (bytes: Buffer) => socket.write(bytes.subarray(0, 10), () => socket.resetAndDestroy())),
  ]
  for (const [index, reset] of ways.entries()) {
    let accepted = 0
    const server = createServer((socket) => {
      accepted++
      socket.on('error', () => undefined)
      reset(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const initiator = await endpoint(t)
    await t.throwsAsync(initiator.connect(`tcp://127.0.0.1:${port}`).wait(), { code: 'ERR_CONNECT' }, `way ${index}`)
    t.is(accepted, 1, `way ${index}`)
  }
})
