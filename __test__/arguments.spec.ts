import anyTest, { type TestFn } from 'ava'
import { type ArgumentErrorCode, MemoryRegion, Peer, TcpEndpoint, TransferFuture } from 'memlane'
import { thrown, url } from './support/pair'

// What TypeScript would not let through is just what has to be tried here.
type Loose = Record<string, (...given: unknown[]) => unknown>

const test = anyTest as TestFn<{ target: TcpEndpoint; initiator: TcpEndpoint; peer: Peer; region: MemoryRegion }>

test.before(async (t) => {
  const target = await TcpEndpoint.listen()
  const initiator = await TcpEndpoint.listen()
  target.alloc('x', 100, { access: 'readwrite' })
  t.context = { target, initiator, peer: await initiator.connect(url(target)), region: initiator.alloc('region', 50) }
})
test.after.always(async (t) => {
  await t.context.initiator.close()
  await t.context.target.close()
})

type Expected = [name: 'TypeError' | 'RangeError', code: ArgumentErrorCode]
const TYPE: Expected = ['TypeError', 'ERR_INVALID_ARG_TYPE']
const VALUE: Expected = ['TypeError', 'ERR_INVALID_ARG_VALUE']
const RANGE: Expected = ['RangeError', 'ERR_OUT_OF_RANGE']

/** What is no integer from 0 to 2^53 - 1, and how each is refused. */
const NO_INTEGERS: [unknown, Expected][] = [
  ['1', TYPE],
  [null, TYPE],
  [true, TYPE],
  [{}, TYPE],
  [[1], TYPE],
  [Symbol('1'), TYPE],
  [-1, RANGE],
  [-1n, RANGE],
  [0.5, RANGE],
  [NaN, RANGE],
  [Infinity, RANGE],
  [2 ** 53, RANGE],
  [2n ** 53n, RANGE],
  [2n ** 64n, RANGE],
]
const NO_OPTIONS: [unknown, Expected][] = [
  [null, TYPE],
  [1, TYPE],
  ['options', TYPE],
  [{ nonsense: 1 }, VALUE],
  [{ timeoutMS: 1 }, VALUE],
  [['a'], VALUE],
]
const NO_NAMES: [unknown, Expected][] = [
  [1, TYPE],
  [undefined, TYPE],
  [null, TYPE],
  [Buffer.from('x'), TYPE],
  ['', VALUE],
  ['a\0b', VALUE],
  ['\ud800', VALUE],
  ['x\udc00y', VALUE],
  ['x'.repeat(256), VALUE],
  ['é'.repeat(128), VALUE],
]
const NO_BYTES: [unknown, Expected][] = [
  [undefined, TYPE],
  [null, TYPE],
  [1, TYPE],
  ['text', TYPE],
  [[1, 2], TYPE],
  [{ length: 3 }, TYPE],
]
const NO_TIMEOUTS: [unknown, Expected][] = [...NO_INTEGERS, [2 ** 31, RANGE]]
const NO_SIGNALS: [unknown, Expected][] = [
  [null, TYPE],
  [true, TYPE],
  ['abort', TYPE],
  [{}, TYPE],
  [new AbortController(), TYPE],
]

/** Every parameter of every call, with what it refuses. */
interface Case {
  call: string
  wrong: [unknown, Expected][]
  with(context: { target: Loose; peer: Loose; region: Loose; local: MemoryRegion }, value: unknown): unknown
}

const listen = (TcpEndpoint as unknown as Loose)['listen'] as (options: unknown) => unknown
const view = new Uint8Array(50)

const cases: Case[] = [
  { call: 'listen(options)', wrong: NO_OPTIONS, with: (_, value) => listen(value) },
  { call: 'listen({ port })', wrong: [...NO_INTEGERS, [65_536, RANGE]], with: (_, port) => listen({ port }) },
  {
    call: 'listen({ host })',
    wrong: [[1, TYPE], [null, TYPE], ['', VALUE], ['a b', VALUE], ['a/b', VALUE], ['a\0', VALUE], ['x'.repeat(254), VALUE]],
    with: (_, host) => listen({ host }),
  },
  {
    call: 'listen({ maxConnections })',
    wrong: [...NO_INTEGERS, [0, RANGE], [1_000_001, RANGE]],
    with: (_, maxConnections) => listen({ maxConnections }),
  },
  { call: 'alloc(name)', wrong: NO_NAMES, with: ({ target }, value) => target['alloc']?.(value, 8) },
  { call: 'alloc(length)', wrong: [...NO_INTEGERS, [0, RANGE], [undefined, TYPE]], with: ({ target }, value) => target['alloc']?.('y', value) },
  {
    call: 'alloc(memory of JavaScript)',
    wrong: [new Uint8Array(8), new DataView(new ArrayBuffer(8)), new ArrayBuffer(8), new SharedArrayBuffer(8)].map((bytes) => [bytes, VALUE]),
    with: ({ target }, value) => target['alloc']?.('y', value),
  },
  { call: 'alloc(options)', wrong: NO_OPTIONS, with: ({ target }, value) => target['alloc']?.('y', 8, value) },
  {
    call: 'alloc({ access })',
    wrong: [['', VALUE], ['rw', VALUE], ['READ', VALUE], [1, VALUE], [true, VALUE]],
    with: ({ target }, access) => target['alloc']?.('y', 8, { access }),
  },
  {
    call: 'connect(target)',
    wrong: [
      [undefined, TYPE],
      [null, TYPE],
      [1, TYPE],
      [[], TYPE],
      [() => undefined, TYPE],
      ['', VALUE],
      ['127.0.0.1:7400', VALUE],
      ['http://127.0.0.1:7400', VALUE],
      ['tcp://127.0.0.1', VALUE],
      ['tcp://:7400', VALUE],
      ['tcp://127.0.0.1:0', RANGE],
      ['tcp://127.0.0.1:65536', RANGE],
      ['tcp://127.0.0.1:7400/path', VALUE],
      ['tcp://user@127.0.0.1:7400', VALUE],
      ['tcp://::1:7400', VALUE],
      ['tcp://[::1]', VALUE],
      [new URL('http://127.0.0.1:7400'), VALUE],
    ],
    with: ({ target }, value) => target['connect']?.(value),
  },
  { call: 'connect(options)', wrong: NO_OPTIONS, with: ({ target }, value) => target['connect']?.('tcp://127.0.0.1:1', value) },
  {
    call: 'connect({ wire })',
    wrong: [['', VALUE], ['rdma', VALUE], [1, VALUE]],
    with: ({ target }, wire) => target['connect']?.('tcp://127.0.0.1:1', { wire }),
  },
  {
    call: 'connect({ timeoutMs })',
    wrong: NO_TIMEOUTS,
    with: ({ target }, timeoutMs) => target['connect']?.('tcp://127.0.0.1:1', { timeoutMs }),
  },
  {
    call: 'connect({ signal })',
    wrong: NO_SIGNALS,
    with: ({ target }, signal) => target['connect']?.('tcp://127.0.0.1:1', { signal }),
  },

  { call: 'read(name)', wrong: NO_NAMES, with: ({ peer }, value) => peer['read']?.(value) },
  { call: 'read(options)', wrong: NO_OPTIONS, with: ({ peer }, value) => peer['read']?.('x', value) },
  { call: 'read({ into })', wrong: NO_BYTES.slice(1), with: ({ peer }, into) => peer['read']?.('x', { into }) },
  {
    call: 'read({ remoteOffset })',
    wrong: [...NO_INTEGERS, [101, RANGE]],
    with: ({ peer }, remoteOffset) => peer['read']?.('x', { remoteOffset }),
  },
  { call: 'read({ length })', wrong: [...NO_INTEGERS, [101, RANGE]], with: ({ peer }, length) => peer['read']?.('x', { length }) },
  {
    call: 'read({ remoteOffset: 60, length })',
    wrong: [[41, RANGE], [2 ** 53 - 1, RANGE]],
    with: ({ peer }, length) => peer['read']?.('x', { remoteOffset: 60, length }),
  },
  {
    call: 'read({ into: region, intoOffset })',
    wrong: [...NO_INTEGERS, [51, RANGE]],
    with: ({ peer, local }, intoOffset) => peer['read']?.('x', { into: local, intoOffset }),
  },
  {
    call: 'read({ into: region, intoOffset: 20, length })',
    wrong: [[31, RANGE], [2 ** 53 - 1, RANGE]],
    with: ({ peer, local }, length) => peer['read']?.('x', { into: local, intoOffset: 20, length }),
  },
  {
    call: 'read({ into: view, intoOffset })',
    wrong: [...NO_INTEGERS, [51, RANGE]],
    with: ({ peer }, intoOffset) => peer['read']?.('x', { into: view, intoOffset }),
  },
  {
    call: 'read({ into: view, intoOffset: 20, length })',
    wrong: [[31, RANGE]],
    with: ({ peer }, length) => peer['read']?.('x', { into: view, intoOffset: 20, length }),
  },
  { call: 'read({ timeoutMs })', wrong: NO_TIMEOUTS, with: ({ peer }, timeoutMs) => peer['read']?.('x', { timeoutMs }) },
  { call: 'read({ signal })', wrong: NO_SIGNALS, with: ({ peer }, signal) => peer['read']?.('x', { signal }) },

  { call: 'write(name)', wrong: NO_NAMES, with: ({ peer }, value) => peer['write']?.(value, view) },
  { call: 'write(source)', wrong: NO_BYTES, with: ({ peer }, value) => peer['write']?.('x', value) },
  { call: 'write(options)', wrong: NO_OPTIONS, with: ({ peer }, value) => peer['write']?.('x', view, value) },
  {
    call: 'write({ remoteOffset })',
    wrong: [...NO_INTEGERS, [51, RANGE], [101, RANGE]],
    with: ({ peer }, remoteOffset) => peer['write']?.('x', view, { remoteOffset }),
  },
  {
    call: 'write(view, { sourceOffset })',
    wrong: [...NO_INTEGERS, [51, RANGE]],
    with: ({ peer }, sourceOffset) => peer['write']?.('x', view, { sourceOffset }),
  },
  {
    call: 'write(region, { sourceOffset })',
    wrong: [...NO_INTEGERS, [51, RANGE]],
    with: ({ peer, local }, sourceOffset) => peer['write']?.('x', local, { sourceOffset }),
  },
  {
    call: 'write(view, { sourceOffset: 20, length })',
    wrong: [...NO_INTEGERS, [31, RANGE]],
    with: ({ peer }, length) => peer['write']?.('x', view, { sourceOffset: 20, length }),
  },
  {
    call: 'write(region, { sourceOffset: 20, length })',
    wrong: [...NO_INTEGERS, [31, RANGE]],
    with: ({ peer, local }, length) => peer['write']?.('x', local, { sourceOffset: 20, length }),
  },
  { call: 'write({ timeoutMs })', wrong: NO_TIMEOUTS, with: ({ peer }, timeoutMs) => peer['write']?.('x', view, { timeoutMs }) },
  { call: 'write({ signal })', wrong: NO_SIGNALS, with: ({ peer }, signal) => peer['write']?.('x', view, { signal }) },

  { call: 'send(source)', wrong: NO_BYTES, with: ({ peer }, value) => peer['send']?.(value) },
  { call: 'send(options)', wrong: NO_OPTIONS, with: ({ peer }, value) => peer['send']?.(view, value) },
  { call: 'send({ tag })', wrong: NO_INTEGERS, with: ({ peer }, tag) => peer['send']?.(view, { tag }) },
  {
    call: 'send({ sourceOffset })',
    wrong: [...NO_INTEGERS, [51, RANGE]],
    with: ({ peer }, sourceOffset) => peer['send']?.(view, { sourceOffset }),
  },
  {
    call: 'send(region, { length })',
    wrong: [...NO_INTEGERS, [51, RANGE]],
    with: ({ peer, local }, length) => peer['send']?.(local, { length }),
  },
  { call: 'send({ timeoutMs })', wrong: NO_TIMEOUTS, with: ({ peer }, timeoutMs) => peer['send']?.(view, { timeoutMs }) },
  { call: 'send({ signal })', wrong: NO_SIGNALS, with: ({ peer }, signal) => peer['send']?.(view, { signal }) },
  { call: 'refresh(options)', wrong: NO_OPTIONS, with: ({ peer }, value) => peer['refresh']?.(value) },
  { call: 'refresh({ timeoutMs })', wrong: NO_TIMEOUTS, with: ({ peer }, timeoutMs) => peer['refresh']?.({ timeoutMs }) },

  { call: 'recv(target)', wrong: NO_BYTES, with: ({ target }, value) => target['recv']?.(value) },
  { call: 'recv(options)', wrong: NO_OPTIONS, with: ({ target }, value) => target['recv']?.(view, value) },
  { call: 'recv({ timeoutMs })', wrong: [[1, VALUE]], with: ({ target }, timeoutMs) => target['recv']?.(view, { timeoutMs }) },
  { call: 'recv({ tag })', wrong: NO_INTEGERS, with: ({ target }, tag) => target['recv']?.(view, { tag }) },
  {
    call: 'recv({ exactSize })',
    wrong: [[1, TYPE], ['true', TYPE], [null, TYPE]],
    with: ({ target }, exactSize) => target['recv']?.(view, { exactSize }),
  },
  { call: 'recv({ offset })', wrong: [...NO_INTEGERS, [51, RANGE]], with: ({ target }, offset) => target['recv']?.(view, { offset }) },
  {
    call: 'recv(region, { offset: 20, length })',
    wrong: [...NO_INTEGERS, [31, RANGE]],
    with: ({ target, local }, length) => target['recv']?.(local, { offset: 20, length }),
  },
  { call: 'recv({ signal })', wrong: NO_SIGNALS, with: ({ target }, signal) => target['recv']?.(view, { signal }) },

  { call: 'copyOut(offset)', wrong: [...NO_INTEGERS, [51, RANGE]], with: ({ region }, value) => region['copyOut']?.(value) },
  { call: 'copyOut(20, length)', wrong: [...NO_INTEGERS, [31, RANGE]], with: ({ region }, value) => region['copyOut']?.(20, value) },
  { call: 'text(offset)', wrong: [...NO_INTEGERS, [51, RANGE]], with: ({ region }, value) => region['text']?.(value) },
]

function shown(value: unknown): string {
  try {
    return `${typeof value} ${typeof value === 'bigint' ? value : (JSON.stringify(value)?.slice(0, 60) ?? String(value))}`
  } catch {
    return typeof value
  }
}

for (const { call, wrong, with: act } of cases) {
  test(`${call} refuses what makes no sense, at the call and with a code`, (t) => {
    const { target, peer, region } = t.context
    const context = { target, peer, region } as unknown as Record<'target' | 'peer' | 'region', Loose>
    const issued = () => {
      const { reads, writes, sends } = t.context.initiator.stats().operations
      return { reads, writes, sends }
    }
    const before = issued()
    for (const [value, [name, code]] of wrong) {
      const error = thrown(() => act({ ...context, local: region }, value))
      t.like(error, { name, code }, `${call}: ${shown(value)}: ${error.message}`)
    }
    t.deepEqual(issued(), before, 'and nothing was sent')
  })
}

test('an unknown option is named, with those that there are', (t) => {
  const { peer } = t.context
  const { message } = thrown(() => peer.read('x', { ofset: 3 } as object))
  t.regex(message, /"ofset"/)
  t.regex(message, /remoteOffset/)
})

test('an option that is undefined is one that was left out', async (t) => {
  const { target, peer, region } = t.context
  const options = { remoteOffset: undefined, length: undefined, timeoutMs: undefined, signal: undefined } as object
  t.is((await peer.read('x', { ...options, into: undefined, intoOffset: undefined } as object)).byteLength, 100)
  t.is(await peer.write('x', view, { ...options, sourceOffset: undefined } as object), 50)
  const receive = target.recv(view, { tag: undefined, exactSize: undefined, offset: undefined, length: undefined, signal: undefined } as object)
  t.is(await peer.send(region, { tag: undefined, sourceOffset: undefined, length: undefined } as object), 50)
  t.is((await receive).bytes, 50)
  const other = await TcpEndpoint.listen({ host: undefined, port: undefined, maxConnections: undefined } as object)
  t.is(other.alloc('y', 8, { access: undefined } as object).access, 'none')
  await other.close()
})

test('what has no prototype, and what inherits, are options too', async (t) => {
  const { peer } = t.context
  const bare = Object.assign(Object.create(null) as object, { length: 3 })
  t.is((await peer.read('x', bare)).byteLength, 3)
  t.is((await peer.read('x', Object.create({ length: 4 }) as object)).byteLength, 4)
})

test('a range that leaves a region which had to be asked for fails the future just so', async (t) => {
  const { target, peer } = t.context
  target.alloc('late', 10, { access: 'readwrite' })
  const error = await t.throwsAsync(peer.read('late', { remoteOffset: 4, length: 7 }).wait(), { instanceOf: RangeError })
  t.like(error, { code: 'ERR_OUT_OF_RANGE' })
})

test('integers may be bigints', async (t) => {
  const { peer } = t.context
  t.is((await peer.read('x', { remoteOffset: 99n, length: 1n, timeoutMs: 1000n })).byteLength, 1)
})

test('classes that are not made with new say how they are made', (t) => {
  for (const [Class, how] of [
    [TcpEndpoint, 'TcpEndpoint.listen()'],
    [MemoryRegion, 'endpoint.alloc()'],
    [Peer, 'endpoint.connect()'],
    [TransferFuture, 'an operation'],
  ] as const) {
    const make = Class as unknown as new () => unknown
    const error = t.throws(() => new make(), { instanceOf: TypeError, code: 'ERR_ILLEGAL_CONSTRUCTOR' })
    t.true(error.message.includes(how))
  }
})

test('what looks right and would do something else is refused, and says what to do', (t) => {
  const { target, initiator, peer, region } = t.context as unknown as Record<string, Loose>
  const cases: [() => unknown, RegExp][] = [
    // With something else than an address in it nobody knows which wire it speaks; writes on the wrong one would not be acknowledged.
    [() => initiator?.connect?.({ host: '127.0.0.1', port: t.context.target.port, regions: {} }), /neither \{ host, port \} alone nor an endpoint info/],
    [() => initiator?.connect?.(peer), /neither \{ host, port \} alone.*wire: 'native'/],
    [() => initiator?.connect?.({ nmae: 'x' }), /^target must be tcp:\/\/host:port, \{ host, port \}, .* or \{ name \}.* with \["nmae"\]$/],
    [() => initiator?.connect?.({ url: 'tcp://127.0.0.1:1' }), /^target must be /],
    [() => peer?.readTensor?.('x', { rows: [3] }), /\[from, to\]; got \[3\]$/],
    [() => peer?.readTensor?.('x', { rows: ['a', 1, [2], 3, 4] }), /; got \["a", 1, an array, 3, …\]$/],
    [() => initiator?.connect?.('x'), /\{ name \} for an announced one/],
    [() => target?.alloc?.('t', { dtype: 'int8', shape: [1] }, { access: 'read' }), /leave the third argument out/],
    [() => peer?.read?.('x', { intoOffset: 1 }), /intoOffset .* into, which is missing/],
    [() => peer?.readBatch?.(new Int32Array(3), { remote: 'x', local: region }), /descriptors must be a Float64Array/],
    [() => peer?.write?.('x', new Uint8Array(1), { notify: 'x' }), /^notify must be/],
    [() => target?.alloc?.('t', 1, { access: 'rw' }), /got "rw"/],
  ]
  for (const [call, message] of cases) t.throws(call, { instanceOf: TypeError, message })
})

test('an error about a remote region names it, and says what may be missing', async (t) => {
  const { target, peer } = t.context
  target.alloc('private', 10)
  await t.throwsAsync(peer.read('private').wait(), { code: 'ERR_REGION_NOT_FOUND', message: /^read from .*"private".*may reach/ })
  t.throws(() => peer.read('x', { remoteOffset: 101 }), { instanceOf: RangeError, message: /^remoteOffset 101 leaves the region "x" of .*100 bytes$/ })
  t.throws(() => peer.write('x', new Uint8Array(2), { remoteOffset: 99 }), { instanceOf: RangeError, message: /^remoteOffset 99 and length 2 leave the region "x"/ })
  target.alloc('readable', 10, { access: 'read' })
  await t.throwsAsync(peer.write('readable', new Uint8Array(1)).wait(), { code: 'ERR_ACCESS', message: /\(region "readable", which grants read\)$/ })
  const error = await t.throwsAsync(peer.read('x', { signal: AbortSignal.abort() }).wait(), { code: 'ERR_ABORTED' })
  t.like(error, { peer: `127.0.0.1:${target.port}`, operation: 'read' })
})
