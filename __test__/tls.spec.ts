import { once } from 'node:events'
import { truncateSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { connect as secure } from 'node:tls'
import test, { type ExecutionContext } from 'ava'
import { type ListenOptions, TcpContext, TcpEndpoint, type TlsOptions } from 'memlane'
import { authority, issue } from './support/certificates'
import { file } from './support/files'
import { counting, endpoint, pair, same, thrown, url } from './support/pair'
import { header, MAGIC, preface, PREFACE_BYTES, RawConnection, READ, STATUS_BYTES } from './support/raw'
import { until } from './support/until'

const FLEET = authority('fleet')
const OTHERS = authority('others')
const tls = { ...issue(FLEET), ca: FLEET.cert }
const SIZES = [0, 1, 16_383, 16_384, 16_385, 1 << 20, 64 << 20]

/** What a foreign program needs to be let in. */
const foreign = { cert: tls.cert, key: tls.key, ca: tls.ca, servername: 'localhost' }

test.serial('what is read, written and sent over TLS arrives as it was, whatever its size', async (t) => {
  const { target, initiator, peer } = await pair(t, { tls })
  for (const size of SIZES) {
    const remote = target.alloc(`r${size}`, size + 1, { access: 'readwrite' })
    const local = initiator.alloc(`l${size}`, size + 1)
    const bytes = counting(size)
    new Uint8Array(local.buffer!).set(bytes)
    await peer.write(`r${size}`, local, { length: size })
    same(t, new Uint8Array(remote.buffer!, 0, size), bytes, `${size} bytes written`)
    same(t, await peer.read(`r${size}`, { length: size }), bytes, `${size} bytes read`)
    const received = target.recv(new Uint8Array(size))
    await peer.send(bytes)
    same(t, (await received).data, bytes, `${size} bytes sent`)
  }
})

test.serial('a batch over TLS moves every entry', async (t) => {
  const { target, initiator, peer } = await pair(t, { tls })
  const [remote, local] = [target.alloc('kv', 4 << 20, { access: 'readwrite' }), initiator.alloc('kv', 4 << 20)]
  const lengths = Array.from({ length: 500 }, (_, index) => [1, 64, 4096, 16_385][index % 4] as number)
  let at = 0
  const entries = lengths.map((length) => ({ remote: 'kv', remoteOffset: (at += length + 3), localOffset: at, length, local }))
  new Uint8Array(local.buffer!).set(counting(4 << 20))
  await peer.writeBatch(entries)
  const copy = initiator.alloc('copy', 4 << 20)
  await peer.readBatch(entries.map((entry) => ({ ...entry, local: copy })))
  for (const { remoteOffset, length } of entries) {
    const expected = counting(length, remoteOffset)
    if (Buffer.compare(new Uint8Array(remote.buffer!, remoteOffset, length), expected) !== 0) t.fail(`written at ${remoteOffset}`)
    if (Buffer.compare(new Uint8Array(copy.buffer!, remoteOffset, length), expected) !== 0) t.fail(`read at ${remoteOffset}`)
  }
  t.pass()
})

test.serial('mapped files are read and written over TLS, as either end', async (t) => {
  const { target, initiator, peer } = await pair(t, { tls })
  for (const size of SIZES.slice(1)) {
    const bytes = counting(size)
    const remote = await target.mapFile(`r${size}`, file(t, bytes), { access: 'readwrite' })
    const local = await initiator.mapFile(`l${size}`, file(t, new Uint8Array(size)), { access: 'readwrite' })
    await peer.read(`r${size}`, { into: local })
    same(t, local.copyOut(), bytes, `${size} bytes from file to file`)
    const other = counting(size, 7)
    const source = initiator.alloc(`s${size}`, size)
    new Uint8Array(source.buffer!).set(other)
    await peer.write(`r${size}`, source)
    same(t, remote.copyOut(), other, `${size} bytes into a file`)
    await peer.write(`r${size}`, local)
    same(t, remote.copyOut(), bytes, `${size} bytes from file into file`)
    await Promise.all([remote.close(), local.close(), source.close()])
  }
})

/** What a read between endpoints with these options comes to: its bytes, or the code and message of its failure. */
async function readBetween(t: ExecutionContext, theirs: ListenOptions, ours: ListenOptions) {
  const target = await endpoint(t, theirs)
  target.alloc('x', 3, { access: 'read' })
  const initiator = await endpoint(t, ours)
  const begun = performance.now()
  const read = initiator.connect(url(target)).then((peer) => peer.read('x'))
  const ended = await read.then(
    (bytes) => ({ bytes: bytes.byteLength }),
    ({ code, message }: { code: string; message: string }) => ({ code, message })
  )
  const late = performance.now() - begun > 1000
  return { ...ended, late, target }
}

test.serial('who is not to be believed fails with ERR_TLS and the reason within a second, is counted, and the next one is served', async (t) => {
  const expired = { ...issue(FLEET, { from: -2, to: -1 }), ca: FLEET.cert }
  const early = { ...issue(FLEET, { from: 1, to: 2 }), ca: FLEET.cert }
  const named = { ...issue(FLEET, { names: ['fleet.internal'] }), ca: FLEET.cert }
  const other = issue(OTHERS)
  const cases: [string, ListenOptions, ListenOptions, RegExp, number][] = [
    ['a target of another authority', { tls: { ...tls, ...other } }, { tls }, /unknown authority/, 1],
    ['a target whose time is over', { tls: expired }, { tls }, /certificate has expired/, 1],
    ['a target whose time has not come', { tls: early }, { tls }, /not valid yet/, 1],
    ['a target of another name', { tls: named }, { tls }, /not for .*127\.0\.0\.1.*fleet\.internal/, 1],
    ['a target of the wrong one of two names', { tls }, { tls: { ...tls, serverName: 'fleet.internal' } }, /not for .*fleet\.internal/, 1],
    ['nobody to believe', { tls }, { tls: { cert: tls.cert, key: tls.key } }, /no authority \(tls\.ca\)/, 0],
    ['an initiator without certificate', { tls }, { tls: { ca: FLEET.cert } }, /requires a client certificate/, 1],
    ['an initiator of another authority', { tls }, { tls: { ...other, ca: FLEET.cert } }, /does not know the authority/, 1],
    ['an initiator whose time is over', { tls }, { tls: expired }, /expired/, 1],
    ['an initiator of another authority, of whom nothing is required', { tls: { ...tls, clientCert: 'request' } }, { tls: { ...other, ca: FLEET.cert } }, /does not know the authority/, 1],
    ['an initiator without TLS', { tls }, {}, /the peer speaks TLS/, 1],
    ['a target without TLS', {}, { tls }, /the peer speaks no TLS/, 1],
    ['a target with a token and without TLS', { token: 't' }, { tls }, /the peer speaks no TLS/, 1],
    ['a target without certificate', { tls: { ca: FLEET.cert } }, { tls }, /no certificate/, 1],
  ]
  for (const [who, theirs, ours, says, counted] of cases) {
    const ended = await readBetween(t, theirs, ours)
    const { target } = ended
    t.like(ended, { code: 'ERR_TLS', late: false }, `${who}: ${JSON.stringify({ ...ended, target: 0 })}`)
    if ('message' in ended) t.regex(ended.message, says, who)
    await until(() => target.stats().authFailures >= counted)
    t.is(target.stats().authFailures, counted, who)
    const good = theirs.tls === undefined ? theirs : { tls: { ...tls, serverName: theirs.tls === named ? 'fleet.internal' : '127.0.0.1' } }
    if (theirs.tls !== undefined && (theirs.tls.cert !== tls.cert || theirs.tls.ca !== tls.ca)) continue
    const peer = await (await endpoint(t, good)).connect(url(target))
    t.is((await peer.read('x')).byteLength, 3, `after ${who}`)
  }
})

test.serial('certificates are asked for as clientCert says, by default wherever there is an authority', async (t) => {
  const bare = { ca: FLEET.cert }
  for (const clientCert of ['none', 'request'] as const) {
    t.like(await readBetween(t, { tls: { ...tls, clientCert } }, { tls: bare }), { bytes: 3 })
    t.like(await readBetween(t, { tls: { ...tls, clientCert } }, { tls }), { bytes: 3 })
  }
  t.like(await readBetween(t, { tls: { cert: tls.cert, key: tls.key } }, { tls: bare }), { bytes: 3 })
  t.like(await readBetween(t, { tls: { ...tls, clientCert: 'require' } }, { tls }), { bytes: 3 })
  const named = { ...issue(FLEET, { names: ['fleet.internal'] }), ca: FLEET.cert, serverName: 'fleet.internal' }
  t.like(await readBetween(t, { tls: named }, { tls: named }), { bytes: 3 })
})

test.serial('a token is proven inside of TLS', async (t) => {
  t.like(await readBetween(t, { tls, token: 't' }, { tls, token: 't' }), { bytes: 3 })
  const refused = await readBetween(t, { tls, token: 't' }, { tls, token: 'other' })
  t.like(refused, { code: 'ERR_AUTH' })
  t.is(refused.target.stats().authFailures, 1)
  t.like(await readBetween(t, { tls, token: 't' }, { tls }), { code: 'ERR_AUTH' })
})

test.serial('the legacy wire is spoken neither over TLS nor beside it', async (t) => {
  t.throws(() => TcpEndpoint.listen({ tls, legacy: true }), { code: 'ERR_INVALID_ARG_VALUE', message: /legacy/ })
  const target = await endpoint(t, { tls })
  const { address } = target.alloc('x', 3, { access: 'read' })
  const info = { host: target.host, port: target.port, mr_info: { x: { addr: address, length: 3 } } }
  await t.throwsAsync((await endpoint(t, { tls })).connect(info).wait(), { code: 'ERR_AUTH', message: /legacy wire/ })
  const over = await RawConnection.secured(target.port, foreign)
  over.write(header(READ, 3, address))
  t.is((await over.rest()).byteLength, 0)
  // Whatever a plain legacy peer is told it takes for what it asked for.
  const plain = await RawConnection.open(target.port)
  plain.write(header(READ, 3, address))
  t.is((await plain.rest()).byteLength, 0)
  t.is(target.stats().authFailures, 2)
  t.is(target.stats().connections.legacy, 0)
})

test.serial('the TLS of Node speaks with that of an endpoint, and nothing older than 1.3 does', async (t) => {
  const target = await endpoint(t, { tls })
  const region = target.alloc('x', 20_000, { access: 'read' })
  new Uint8Array(region.buffer!).set(counting(20_000))
  const raw = await RawConnection.secured(target.port, foreign)
  raw.write(preface())
  t.is((await raw.take(PREFACE_BYTES)).compare(MAGIC, 0, 8, 0, 8), 0)
  raw.write(header(READ, 20_000, region.address))
  // What was asked for before the farewell is answered, and then comes ours.
  raw.end()
  same(t, (await raw.take(STATUS_BYTES + 20_000)).subarray(STATUS_BYTES), counting(20_000))
  await raw.rest()
  const old = secure({ host: '127.0.0.1', port: target.port, ...foreign, maxVersion: 'TLSv1.2' })
  const [error] = (await once(old, 'error')) as [Error & { code: string }]
  t.regex(error.code, /PROTOCOL_VERSION/)
  await until(() => target.stats().authFailures === 1)
})

test.serial('new certificates are for new connections, and those that are up go on', async (t) => {
  const context = new TcpContext({ tls })
  const target = await endpoint(t, { context })
  target.alloc('x', 3, { access: 'read' })
  const old = await endpoint(t, { tls })
  const before = await old.connect(url(target))
  t.is((await before.read('x')).byteLength, 3)
  const others = { ...issue(OTHERS), ca: OTHERS.cert }
  target.setTls(others)
  t.is((await before.read('x')).byteLength, 3)
  t.is(old.stats().lanes.dialled, 1)
  await t.throwsAsync((await endpoint(t, { tls })).connect(url(target)).wait(), { code: 'ERR_TLS' })
  const fresh = await endpoint(t, { tls: others })
  t.is((await (await fresh.connect(url(target))).read('x')).byteLength, 3)
  context.setTls(tls)
  t.is((await (await (await endpoint(t, { tls })).connect(url(target))).read('x')).byteLength, 3)
  const wrong = thrown(() => target.setTls({ ...tls, key: issue(FLEET).key }))
  t.is(wrong.code, 'ERR_INVALID_ARG_VALUE')
  t.is((await (await (await endpoint(t, { tls })).connect(url(target))).read('x')).byteLength, 3, 'nothing has changed')
  const open = thrown(() => target.setTls({ cert: tls.cert, key: tls.key }))
  t.regex(open.message, /nobody is asked for a certificate/)
  await t.throwsAsync((await endpoint(t, { tls: { ca: tls.ca } })).connect(url(target)).wait(), { code: 'ERR_TLS' }, 'the door is shut as before')
  const plain = await endpoint(t)
  t.throws(() => plain.setTls(tls), { code: 'ERR_INVALID_ARG_VALUE', message: /without TLS/ })
})

/** A relay that cuts each connection when so many bytes of the target's have passed. */
async function relay(t: ExecutionContext, port: number): Promise<{ url: string; cutAfter: (bytes: number) => void }> {
  const pairs = new Set<[Socket, Socket]>()
  let left = Infinity
  const server: Server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    const both: [Socket, Socket] = [near, far]
    pairs.add(both)
    for (const socket of both) socket.on('error', () => {})
    near.pipe(far)
    far.on('data', (bytes) => {
      const passing = bytes.subarray(0, Math.min(left, bytes.byteLength))
      left -= passing.byteLength
      near.write(passing)
      if (left > 0) return
      far.destroy()
      near.end()
    })
    far.on('end', () => near.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const both of pairs) for (const socket of both) socket.destroy()
    server.close()
  })
  const cutAfter = (bytes: number) => {
    left = bytes
  }
  return { url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, cutAfter }
}

test.serial('a stream that is cut in the middle of a record ends what was on its way, and the next operation dials anew', async (t) => {
  const target = await endpoint(t, { tls })
  const bytes = counting(8 << 20)
  new Uint8Array(target.alloc('x', 8 << 20, { access: 'readwrite' }).buffer!).set(bytes)
  const between = await relay(t, target.port)
  const initiator = await endpoint(t, { tls })
  const peer = await initiator.connect(between.url)
  await peer.read('x', { length: 64 })
  between.cutAfter(1_000_000)
  const cut = await t.throwsAsync(peer.read('x').wait(), { code: 'ERR_PEER_CLOSED' })
  t.regex(cut.message, /cut/)
  between.cutAfter(Infinity)
  same(t, await peer.read('x'), bytes)
})

/** Asks for a region and takes nothing of it. */
async function never(port: number, address: number, length: number): Promise<RawConnection> {
  const raw = await RawConnection.secured(port, foreign)
  raw.write(preface())
  await raw.take(PREFACE_BYTES)
  raw.pause()
  raw.write(header(READ, length, address))
  return raw
}

test.serial('the fence of a region cuts a TLS body that nobody takes, and the memory is nobody else\'s then', async (t) => {
  const target = await endpoint(t, { tls })
  const region = target.alloc('x', 32 << 20, { access: 'read' })
  await never(target.port, region.address, 32 << 20)
  await until(() => region.stats().operations.reads > 0)
  const begun = performance.now()
  await region.close({ drainMs: 50 })
  t.true(performance.now() - begun < 2000)
  await until(() => target.stats().connections.open === 0)
})

test.serial('a file that is truncated while its body is on its way over TLS ends the connection, and nothing else', async (t) => {
  const target = await endpoint(t, { tls })
  const size = 32 << 20
  const path = file(t, counting(size))
  const region = await target.mapFile('x', path, { access: 'readwrite' })
  const raw = await never(target.port, region.address, size)
  await until(() => region.stats().operations.reads > 0)
  truncateSync(path, 1 << 20)
  raw.resume()
  await raw.rest()
  t.true(raw.everything.byteLength < size)
  const peer = await (await endpoint(t, { tls })).connect(url(target))
  same(t, await peer.read('x', { length: 1 << 20 }), counting(1 << 20))
  await t.throwsAsync(peer.read('x').wait(), { code: 'ERR_OUT_OF_RANGE' })
  await t.throwsAsync(peer.write('x', new Uint8Array(1000), { remoteOffset: 2 << 20 }).wait(), { code: 'ERR_OUT_OF_RANGE' })
})

test.serial('a close ends transfers over TLS on both sides, each once', async (t) => {
  const { target, initiator, peer } = await pair(t, { tls })
  target.alloc('x', 64 << 20, { access: 'readwrite' })
  const local = initiator.alloc('x', 64 << 20)
  const reads = Array.from({ length: 4 }, () => peer.read('x', { into: local }).wait())
  const closing = target.close({ drainMs: 0 })
  const ends = await Promise.allSettled(reads)
  await closing
  for (const end of ends) {
    if (end.status === 'rejected') t.true(['ERR_PEER_CLOSED', 'ERR_CONNECT'].includes((end.reason as { code: string }).code))
  }
  const again = await endpoint(t, { tls })
  again.alloc('y', 64 << 20, { access: 'readwrite' })
  const there = await initiator.connect(url(again))
  const writes = Array.from({ length: 4 }, () => there.write('y', local).wait())
  await initiator.close({ drainMs: 0 })
  for (const end of await Promise.allSettled(writes)) {
    if (end.status === 'rejected') t.is((end.reason as { code: string }).code, 'ERR_CLOSED')
  }
})

test.serial('who connects and does not finish the handshake counts, and is gone at its deadline', async (t) => {
  const target = await endpoint(t, { tls, maxConnectionsPerSource: 2, handshakeTimeoutMs: 300 })
  const silent = await RawConnection.open(target.port)
  const half = await RawConnection.open(target.port)
  half.write(Buffer.from([22, 3, 1, 2, 0, 1]))
  await until(() => target.stats().connections.open === 2)
  const third = await RawConnection.open(target.port)
  await third.rest()
  t.is(target.stats().connections.refused, 1)
  await Promise.all([silent.rest(), half.rest()])
  t.is(target.stats().operations.timedOut, 2)
  await endpoint(t, { tls }).then((initiator) => initiator.connect(url(target)))
})

test.serial('an address that others reach may be listened on with TLS', async (t) => {
  t.is((await endpoint(t, { host: '0.0.0.0', tls })).host, '0.0.0.0')
})

test.serial('TLS options that make no sense throw at the call, and no message shows a key', (t) => {
  const { cert, key } = issue(FLEET)
  const cases: [unknown, RegExp][] = [
    [5, /tls/],
    [{}, /neither/],
    [{ cert }, /one is nothing without the other/],
    [{ key, ca: FLEET.cert }, /one is nothing without the other/],
    [{ cert, key, other: 1 }, /other/],
    [{ cert: 5, key }, /tls\.cert/],
    [{ cert, key, clientCert: 'maybe' }, /clientCert/],
    [{ cert, key, clientCert: 'require' }, /tls\.ca/],
    [{ cert: 'x', key }, /tls\.cert has no "-----BEGIN".*not its path/],
    [{ cert, key: 'host.key' }, /tls\.key has no "-----BEGIN".*not its path/],
    [{ cert, key: cert }, /key is no private key/],
    [{ cert, key: tls.key }, /cert and key/],
    [{ cert: key, key }, /cert holds no certificate/],
    [{ ca: '/etc/ca.pem' }, /tls\.ca has no "-----BEGIN".*not its path/],
    [{ ca: Buffer.from('x') }, /ca holds no certificate/],
    [{ ca: FLEET.cert, serverName: 'not/a name' }, /serverName/],
    [{ ca: FLEET.cert, serverName: '-' }, /serverName/],
  ]
  for (const [options, says] of cases) {
    const error = thrown(() => TcpEndpoint.listen({ tls: options as TlsOptions }))
    t.regex(error.message, says)
    t.regex(error.code ?? '', /^ERR_INVALID_ARG/)
    t.false(error.message.includes(key.slice(40, 80)))
  }
})
