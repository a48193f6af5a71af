import { randomBytes } from 'node:crypto'
import test from 'ava'
import { type ListenOptions, TcpContext, TcpEndpoint } from 'memlane'
import { endpoint, url } from './support/pair'

const SECRET = 'correct horse battery staple'

/** What a read between endpoints with these options comes to: its bytes, or the code and message of its failure. */
async function readBetween(t: Parameters<typeof endpoint>[0], theirs: ListenOptions, ours: ListenOptions) {
  const target = await endpoint(t, theirs)
  target.alloc('x', 3, { access: 'read' })
  const initiator = await endpoint(t, ours)
  const read = initiator.connect(url(target)).then((peer) => peer.read('x'))
  const ended = await read.then(
    (bytes) => ({ bytes: bytes.byteLength }),
    ({ code, message }: { code: string; message: string }) => ({ code, message })
  )
  return { ...ended, failures: target.stats().authFailures }
}

test('whoever knows the token gets in, and so does whoever knows one of several', async (t) => {
  const bytes = randomBytes(16)
  const rotated = { tokens: { new: 'b', old: 'a' } }
  for (const [theirs, ours] of [
    [{ token: SECRET }, { token: SECRET }],
    [{ token: bytes }, { token: new Uint8Array(bytes) }],
    [{ token: SECRET }, { token: Buffer.from(SECRET) }],
    [rotated, { tokens: { old: 'a' } }],
    [rotated, { tokens: { new: 'b' } }],
    [{ token: SECRET }, { tokens: { '': SECRET } }],
    [{ tokens: { old: 'a' } }, { tokens: { old: 'a', new: 'b' } }],
  ] as [ListenOptions, ListenOptions][]) {
    t.like(await readBetween(t, theirs, ours), { bytes: 3, failures: 0 })
  }
})

test('whoever has no token, or another one, fails with ERR_AUTH and is counted', async (t) => {
  for (const [theirs, ours, says] of [
    [{ token: SECRET }, {}, 'asks for a token'],
    [{}, { token: SECRET }, 'has no token'],
    [{ token: 't' }, { token: 't\0' }, 'refused the token'],
    [{ token: 't' }, { tokens: { t: 't' } }, 'refused the token'],
    [{ tokens: { new: 'b' } }, { tokens: { old: 'a', new: 'b' } }, 'refused the token'],
  ] as [ListenOptions, ListenOptions, string][]) {
    const ended = await readBetween(t, theirs, ours)
    t.like(ended, { code: 'ERR_AUTH', failures: 1 })
    t.true('message' in ended && ended.message.includes(says), says)
    t.false('message' in ended && ended.message.includes(SECRET))
  }
})

test('a fleet goes from a token to named ones, and from one of them to the next, without a pause', async (t) => {
  const [first, second, third] = ['a', 'b', 'c']
  const steps: ListenOptions[] = [
    { token: first },
    { token: first, tokens: { next: second } },
    { tokens: { next: second, '': first } },
    { tokens: { next: second } },
    { tokens: { next: second, last: third } },
    { tokens: { last: third, next: second } },
    { tokens: { last: third } },
  ]
  for (const [index, now] of steps.entries()) {
    for (const then of steps.slice(index, index + 2)) {
      t.like(await readBetween(t, now, then), { bytes: 3, failures: 0 }, `step ${index + 1}, dialled from the next`)
      t.like(await readBetween(t, then, now), { bytes: 3, failures: 0 }, `step ${index + 1}, dialling the next`)
    }
  }
  t.like(await readBetween(t, steps[2]!, steps[0]!), { bytes: 3 }, 'who dials with the token that is about to go')
  t.like(await readBetween(t, steps[0]!, steps[2]!), { code: 'ERR_AUTH' }, 'a step was left out')
})

test('a target hears whether it was the name or the secret that did not match, and the peer does not', async (t) => {
  const heard: string[] = []
  for (const [theirs, ours, says] of [
    [{ tokens: { x: SECRET } }, { tokens: { y: SECRET } }, /no token here has the name/],
    [{ tokens: { x: SECRET } }, { token: SECRET }, /has no name/],
    [{ token: SECRET }, { tokens: { x: SECRET } }, /no token here has the name/],
    [{ tokens: { x: SECRET } }, { tokens: { x: 'another' } }, /proof does not hold/],
    [{ token: SECRET }, { token: 'another' }, /proof does not hold/],
  ] as [ListenOptions, ListenOptions, RegExp][]) {
    const target = await endpoint(t, theirs)
    const told = new Promise<Error>((resolve) => target.on('error', resolve))
    const refused = await t.throwsAsync((await endpoint(t, ours)).connect(url(target)).wait(), { code: 'ERR_AUTH' })
    heard.push(refused.message.replace(/\d+\.\S+/g, ''))
    t.regex((await told).message, says)
  }
  t.is(new Set(heard).size, 1, heard.join('\n'))
})

test('a token, tokens or tls that is there and undefined is refused: who wants none leaves it out', (t) => {
  const tls = { cert: '-----BEGIN', key: '-----BEGIN', ca: undefined }
  for (const [options, what] of [
    [{ token: undefined }, 'token'],
    [{ tokens: undefined }, 'tokens'],
    [{ tls: undefined }, 'tls'],
    [{ token: SECRET, tls: undefined }, 'tls'],
    [{ tokens: { old: 'a' }, token: undefined }, 'token'],
    [{ allowUnauthenticated: true, host: '0.0.0.0', token: undefined }, 'token'],
    [{ tls }, 'tls\\.ca'],
  ] as [object, string][]) {
    const refused = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE', message: new RegExp(`^${what} must be .*: leave it out to ask`) }
    t.throws(() => TcpEndpoint.listen(options), refused, what)
    if (!('host' in options)) t.throws(() => new TcpContext(options), refused, what)
  }
})

test('the legacy wire is served beside a token only where that is asked for', async (t) => {
  for (const legacy of [false, true]) {
    const target = await endpoint(t, { token: SECRET, legacy })
    const region = target.alloc('x', 3, { access: 'read' })
    const { addr, length } = target.endpointInfo().mr_info[region.name] as { addr: number; length: number }
    const info = { host: target.host, port: target.port, mr_info: { x: { addr, length } } }
    const peer = await (await endpoint(t)).connect(info)
    if (legacy) t.is((await peer.read('x')).byteLength, 3)
    else await t.throwsAsync(peer.read('x'), { code: 'ERR_PEER_CLOSED' })
    // A read that meets a closed connection is tried once more.
    t.is(target.stats().authFailures, legacy ? 0 : 2)
  }
})

test('with legacy: false the legacy wire is spoken in neither direction, also where there is no token', async (t) => {
  const silent = await endpoint(t, { legacy: false })
  const plain = await endpoint(t)
  const infoOf = (target: TcpEndpoint) => {
    const { address: addr, length } = target.alloc('x', 3, { access: 'read' })
    return { host: target.host, port: target.port, mr_info: { x: { addr, length } } }
  }
  const [toSilent, toPlain] = [infoOf(silent), infoOf(plain)]
  const peer = await plain.connect(toSilent)
  await t.throwsAsync(peer.read('x'), { code: 'ERR_PEER_CLOSED' })
  t.is(silent.stats().connections.legacy, 0)
  await t.throwsAsync(silent.connect(toPlain).wait(), { code: 'ERR_AUTH', message: /not spoken here/ })
  t.is((await (await plain.connect(url(silent))).read('x')).byteLength, 3)
})

test('whoever has a token sends nothing to a peer on the legacy wire, unless that is asked for', async (t) => {
  const target = await endpoint(t)
  const { addr, length } = { addr: target.alloc('x', 3, { access: 'readwrite' }).address, length: 3 }
  const info = { host: target.host, port: target.port, mr_info: { x: { addr, length } } }
  const refused = await endpoint(t, { token: SECRET })
  await t.throwsAsync(refused.connect(info).wait(), { code: 'ERR_AUTH', message: /legacy wire/ })
  const asked = await (await endpoint(t, { token: SECRET, legacy: true })).connect(info)
  t.is((await asked.read('x')).byteLength, 3)
})

test('an address that others reach is not listened on without a token, unless that is asked for', async (t) => {
  for (const host of ['0.0.0.0', '::']) {
    const refused = await t.throwsAsync(TcpEndpoint.listen({ host }), { code: 'ERR_INSECURE_BIND' })
    t.like(refused, { origin: 'local', operation: 'listen', retryable: false })
    t.regex(refused.message, /token.*allowUnauthenticated/)
    await t.throwsAsync(TcpEndpoint.listen({ host, token: SECRET, legacy: true }), { code: 'ERR_INSECURE_BIND' })
    const listening = [{ host, token: SECRET }, { host, allowUnauthenticated: true }]
    for (const options of listening) t.is((await endpoint(t, options)).host, host)
  }
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) await endpoint(t, { host })
})

test('endpoints of a context have its token', async (t) => {
  const context = new TcpContext({ token: SECRET })
  const target = await endpoint(t, { context })
  target.alloc('x', 3, { access: 'read' })
  const peer = await (await endpoint(t, { token: SECRET })).connect(url(target))
  t.is((await peer.read('x')).byteLength, 3)
  for (const options of [{ token: SECRET }, { tokens: { a: 'b' } }, { legacy: true }, { allowUnauthenticated: true }]) {
    t.throws(() => TcpEndpoint.listen({ context, ...options }), { code: 'ERR_INVALID_ARG_VALUE', message: /belongs to the context/ })
  }
})

test('a token is what it was at the call', async (t) => {
  const token = Buffer.from(SECRET)
  const target = await endpoint(t, { token })
  token.fill(0)
  target.alloc('x', 3, { access: 'read' })
  const peer = await (await endpoint(t, { token: SECRET })).connect(url(target))
  t.is((await peer.read('x')).byteLength, 3)
})

test('tokens that are none are refused, and no message shows one', (t) => {
  for (const [options, expected] of [
    [{ token: '' }, 'token is empty'],
    [{ token: new Uint8Array(0) }, 'token is empty'],
    [{ token: 5 }, 'token'],
    [{ token: SECRET, tokens: { a: 'b', '': 'c' } }, 'without a name'],
    [{ tokens: {} }, 'tokens holds none'],
    [{ tokens: [SECRET] }, 'tokens'],
    [{ tokens: SECRET }, 'tokens'],
    [{ tokens: { 2026: SECRET } }, 'whole number'],
    [{ tokens: { '\ud800': SECRET } }, 'surrogate'],
    [{ tokens: { a: '' } }, 'empty'],
    [{ tokens: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`t${index}`, `${SECRET}${index}`])) }, 'at most 64'],
    [{ token: SECRET, tokens: Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`t${index}`, `${index}`])) }, 'at most 64'],
    [{ tokens: { a: SECRET, b: 'another', c: Buffer.from(SECRET) } }, '"a" and "c" are one secret'],
    [{ tokens: { n18622: SECRET, n41826: 'another' } }, '"n18622" and "n41826" look the same'],
    [{ tokens: { [SECRET]: 5 } }, 'entry 1 of 1'],
    [{ legacy: SECRET }, 'legacy'],
    [{ legacy: 1 }, 'legacy'],
    [{ allowUnauthenticated: 'yes' }, 'allowUnauthenticated'],
  ] as [ListenOptions, string][]) {
    const error = t.throws(() => new TcpContext(options), undefined, expected)
    t.true(error.message.includes(expected), error.message)
    t.false(error.message.includes(SECRET))
  }
})
