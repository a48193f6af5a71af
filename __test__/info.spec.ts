import anyTest, { type ExecutionContext, type TestFn } from 'ava'
import { MemlaneError, type PeerInfo, TcpEndpoint } from 'memlane'
import { endpoint, pair, thrown } from './support/pair'
import { description, RawListener } from './support/raw-listener'

const test = anyTest as TestFn<{ initiator: TcpEndpoint }>

test.before(async (t) => {
  t.context = { initiator: await TcpEndpoint.listen() }
})
test.after.always(async (t) => {
  await t.context.initiator.close()
})

const LIMIT = 1 << 20
const region = (entry: unknown) => ({ host: '127.0.0.1', port: 1, mr_info: { x: entry } })
const text = (info: unknown) => JSON.stringify(info)
const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
/** An info of `bytes` bytes of UTF-8, of which two out of three are no characters of their own. */
const ofBytes = (bytes: number) => {
  const [head, tail] = ['{"host":"127.0.0.1","port":1,"more":"', '"}']
  const left = bytes - head.length - tail.length
  return head + '€'.repeat(Math.floor(left / 3)) + 'x'.repeat(left % 3) + tail
}

/** What no endpoint info can be, whoever says so, and what the message has to say of it. */
const WRONG: [what: string, text: string, reason: RegExp][] = [
  ['no JSON', '{"host": "127.0.0.1"', /no JSON/],
  ['nothing but a brace', '{', /no JSON/],
  ['more than one document', '{}{}', /no JSON/],
  ['too long', ofBytes(LIMIT + 1), /at most 1048576 bytes of UTF-8; got 1048577/],
  ['too long and no JSON', `{"host": "${'x'.repeat(LIMIT)}`, /at most 1048576 bytes/],
  ['too deep', nested(LIMIT), /at most 1048576 bytes/],
  ['another version', text({ host: '127.0.0.1', port: 1, memlane: { version: 2 } }), /memlane\.version must be 1.*got 2/],
  ['a version of another type', text({ host: '127.0.0.1', port: 1, memlane: { version: '1' } }), /memlane\.version must be 1.*got "1"/],
  ['no version', text({ host: '127.0.0.1', port: 1, memlane: {} }), /memlane\.version must be 1/],
  ['memlane that is no object', text({ host: '127.0.0.1', port: 1, memlane: 1 }), /memlane must be an object/],
  ['memlane that is null', text({ host: '127.0.0.1', port: 1, memlane: null }), /memlane must be an object/],
  ['a list of regions', text({ host: '127.0.0.1', port: 1, mr_info: [] }), /mr_info must be an object/],
  ['a number for a region', text(region(1)), /mr_info\["x"\] must be an object/],
  ['a region of nothing', text(region({})), /mr_info\["x"\]\.addr must be an integer/],
  ['text for an address', text(region({ addr: '0x10', length: 1 })), /addr must be an integer/],
  ['half a byte', text(region({ addr: 1, length: 0.5 })), /length must be an integer from 0 to \d+ bytes; got 0\.5/],
  ['a negative address', text(region({ addr: -1, length: 1 })), /addr must be an integer from 0/],
  ['a last byte that no number is exact for', text(region({ addr: 2 ** 53 - 2, length: 2 })), /length must be an integer from 0 to 1 bytes/],
  ['an address of 2^64-1', '{"host":"127.0.0.1","port":1,"mr_info":{"x":{"addr":18446744073709551615,"length":1}}}', /addr must be/],
  ['a length of infinity', '{"host":"127.0.0.1","port":1,"mr_info":{"x":{"addr":1,"length":1e999}}}', /length must be .*got Infinity/],
  ['a right that is none', text(region({ addr: 1, length: 1, access: 'all' })), /access must be one of/],
  ['a region without a name', text({ host: '127.0.0.1', port: 1, mr_info: { '': { addr: 1, length: 1 } } }), /name .* is empty/],
  ['a name too long', text({ host: '127.0.0.1', port: 1, mr_info: { ['x'.repeat(256)]: { addr: 1, length: 1 } } }), /longer than 255/],
  ['a lone surrogate', '{"host":"127.0.0.1","port":1,"mr_info":{"\\ud800":{"addr":1,"length":1}}}', /lone surrogate/],
  ['a wrong region named __proto__', '{"host":"127.0.0.1","port":1,"mr_info":{"__proto__":{"addr":"1"}}}', /\["__proto__"\]\.addr/],
  ['a name twice', '{"host":"127.0.0.1","port":1,"mr_info":{"x":{"addr":1,"length":1},"x":{"addr":2,"length":1}}}', /the name "x" twice in "mr_info"/],
  ['a name twice, spelled in two ways', '{"host":"127.0.0.1","port":1,"mr_info":{"x":{"addr":1,"length":1},"\\u0078":{"addr":2,"length":1}}}', /the name "x" twice in "mr_info"/],
  ['__proto__ twice', '{"host":"127.0.0.1","port":1,"mr_info":{"__proto__":{"addr":1,"length":1},"__proto__":{"addr":1,"length":1}}}', /the name "__proto__" twice/],
  ['two lists of regions', '{"host":"127.0.0.1","port":1,"mr_info":{},"mr_info":{}}', /the name "mr_info" twice at its top/],
  ['names that are a message of their own', `{"host":"127.0.0.1","port":1,"mr_info":{"${'\\u001b'.repeat(250)}":1}}`, /must be an object/],
]

/** Beside those, what the caller's info has to say and a description need not. */
const WRONG_GIVEN: typeof WRONG = [
  ['nothing', '{}', /info\.host must be a string/],
  ['no port', '{"host":"127.0.0.1"}', /info\.port must be an integer/],
  ['a number for a host', '{"host":1,"port":1}', /info\.host must be a string/],
  ['a host of nothing', '{"host":"","port":1}', /info\.host must be an address/],
  ['port 0', '{"host":"127.0.0.1","port":0}', /info\.port must be an integer from 1 to 65535; got 0/],
  ['port 65536', '{"host":"127.0.0.1","port":65536}', /info\.port must be an integer from 1 to 65535/],
  ['what it should say under __proto__', '{"__proto__":{"host":"127.0.0.1","port":1}}', /info\.host must be a string/],
]

function refused(t: ExecutionContext, initiator: TcpEndpoint, info: unknown, reason: RegExp): void {
  const error = thrown(() => initiator.connect(info as PeerInfo))
  t.true(error instanceof MemlaneError, error.message)
  t.like(error, { code: 'ERR_PROTOCOL', operation: 'connect', retryable: false })
  t.regex(error.message, reason)
  t.true(error.message.length < 400, 'the message stays a line')
  t.truthy(error.cause)
}

for (const [what, given, reason] of [...WRONG, ...WRONG_GIVEN]) {
  test(`an info given to connect is refused at the call with ERR_PROTOCOL and the reason: ${what}`, (t) => {
    const { initiator } = t.context
    refused(t, initiator, given, reason)
    const isTooLong = reason.source.includes('at most')
    if (!isTooLong) refused(t, initiator, ` \n${given}`, reason)
    let parsed: unknown
    try {
      parsed = JSON.parse(given)
    } catch {
      return
    }
    // An object with nothing of an info in it is an argument of another kind.
    if (what.endsWith('__proto__') && typeof parsed === 'object' && !('port' in (parsed as object)) && !reason.source.includes('addr')) {
      t.throws(() => initiator.connect(parsed as PeerInfo), { instanceOf: TypeError, message: /^target must be/ })
      return
    }
    // An object can have no name twice, and nothing is as deep as what JSON.parse accepts.
    if (!isTooLong && !reason.source.includes('twice')) refused(t, initiator, parsed, reason)
  })
}

for (const [what, said, reason] of [...WRONG, ['null', 'null', /must be an object/] as const, ['no text', '', /no JSON/] as const]) {
  test(`a peer that describes itself so fails the connect: ${what}`, async (t) => {
    const listener = await RawListener.start({
      describe: (honestly, socket) => socket.write(Buffer.concat([honestly.subarray(0, 8), description(said)])),
    })
    t.teardown(() => listener.stop())
    const error = await t.throwsAsync(t.context.initiator.connect(listener.url).wait(), { instanceOf: MemlaneError })
    // What is over maxInfoBytes is refused by its length, before it is anybody's JSON.
    if (Buffer.byteLength(said) > LIMIT) t.like(error, { code: 'ERR_LIMIT', origin: 'local' })
    else {
      t.like(error, { code: 'ERR_PROTOCOL', origin: 'remote' })
      t.regex(error?.message ?? '', reason)
    }
    t.true((error?.message.length ?? 0) < 400, 'the message stays a line')
  })
}

test('a peer that describes itself wrongly later fails the refresh, and keeps the regions it had', async (t) => {
  let wrong = false
  const listener = await RawListener.start({
    describe: (honestly, socket) => socket.write(wrong ? Buffer.concat([honestly.subarray(0, 8), description('{"mr_info":{"x":1}}')]) : honestly),
  })
  t.teardown(() => listener.stop())
  const peer = await t.context.initiator.connect(listener.url)
  wrong = true
  await t.throwsAsync(peer.refresh().wait(), { code: 'ERR_PROTOCOL', message: /mr_info\["x"\]/ })
  t.deepEqual([...peer.regions.keys()], ['kv'])
})

test('an info of 1 MiB is taken, whatever it is made of; a byte more, also in an object, is not', async (t) => {
  const { target, initiator } = await pair(t)
  const here = { host: target.host, port: target.port, memlane: { version: 1 } }
  const room = LIMIT - Buffer.byteLength(JSON.stringify({ ...here, more: '' }))
  const info = { ...here, more: '€'.repeat(Math.floor(room / 3)) + 'x'.repeat(room % 3) }
  for (const given of [info, JSON.stringify(info)]) t.is((await initiator.connect(given)).port, target.port)
  const larger = { ...info, more: `${info.more}x` }
  for (const given of [larger, JSON.stringify(larger)]) refused(t, initiator, given, /at most 1048576 bytes of UTF-8; got 1048577/)
})

test('a depth bomb of less than 1 MiB is neither a crash nor an error where nobody reads it', async (t) => {
  const { target, initiator } = await pair(t)
  const depth = 150_000
  const deep = nested(depth)
  const given = `{"host":"127.0.0.1","port":${target.port},"memlane":{"version":1},"mr_info":{},"more":${deep}}`
  t.is((await initiator.connect(given)).port, target.port)
  const listed = `{"host":"127.0.0.1","port":${target.port},"mr_info":{"x":${deep}}}`
  refused(t, initiator, listed, /addr must be an integer/)
  const object = { host: '127.0.0.1', port: target.port, more: JSON.parse(deep) as unknown }
  refused(t, initiator, object, /cannot be said in JSON/)
})

test('an object that is no JSON is refused as an info, one with more in it than is asked for is not', async (t) => {
  const { target, initiator } = await pair(t)
  const here = { host: target.host, port: target.port, memlane: { version: 1 } }
  const round: Record<string, unknown> = { ...here }
  round['self'] = round
  refused(t, initiator, round, /cannot be said in JSON/)
  const more = { ...here, mr_info: { x: { addr: 1n, length: 2n, color: 'red' } }, port: BigInt(target.port) }
  t.is((await initiator.connect(more as unknown as PeerInfo)).port, target.port)
})

test('regions by the names of what every object has are regions like any other', async (t) => {
  const target = await endpoint(t)
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  for (const name of names) target.alloc(name, 8, { access: 'read' })
  for (const info of [JSON.stringify(target.endpointInfo()), target.endpointInfo()]) {
    const peer = await t.context.initiator.connect(info, { wire: 'legacy' })
    t.deepEqual([...peer.regions.keys()].sort(), names.sort())
    for (const name of names) t.is((await peer.read(name)).byteLength, 8)
  }
  t.is(({} as { addr?: unknown }).addr, undefined)
})
