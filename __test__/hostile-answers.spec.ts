import anyTest, { type TestFn } from 'ava'
import { type Peer, TcpEndpoint } from 'memlane'
import { PING, preface, READ, SEND, WRITE } from './support/raw'
import { description, frame, type Heard, RawListener, REGION, type Script } from './support/raw-listener'
import { pattern } from './support/raw-random'

const test = anyTest as TestFn<{ endpoint: TcpEndpoint; listeners: RawListener[] }>

test.beforeEach(async (t) => {
  t.context = { endpoint: await TcpEndpoint.listen(), listeners: [] }
})
test.afterEach.always(async (t) => {
  await t.context.endpoint.close()
  await Promise.all(t.context.listeners.map((listener) => listener.stop()))
})

const OK = 0
const CONTENT = pattern('kv', REGION.length)

/** The honest answer to a request, without its status. */
function content({ op, addr, size }: Heard): Buffer {
  return op === READ ? CONTENT.subarray(addr - REGION.addr, addr - REGION.addr + size) : Buffer.alloc(0)
}

function honest(request: Heard): void {
  request.socket.write(Buffer.concat([frame(request.sequence, OK), content(request)]))
}

/** Answers the first request of `op` with `answer`, all others honestly. */
function once(op: number, answer: (request: Heard) => void): Script {
  let done = false
  return {
    request(request) {
      if (done || request.op !== op) return honest(request)
      done = true
      answer(request)
    },
  }
}

async function connect(t: { context: { endpoint: TcpEndpoint; listeners: RawListener[] } }, script: Script): Promise<Peer> {
  const listener = await RawListener.start(script)
  t.context.listeners.push(listener)
  return t.context.endpoint.connect(listener.url)
}

const operations: [name: string, op: number, issue: (peer: Peer) => PromiseLike<unknown>][] = [
  ['read', READ, (peer) => peer.read('kv')],
  ['write', WRITE, (peer) => peer.write('kv', CONTENT)],
  ['send', SEND, (peer) => peer.send(CONTENT)],
]

const lies: [what: string, answer: (request: Heard) => Buffer, code: string][] = [
  ['a sequence that was never sent', ({ sequence }) => frame(sequence + 1, OK), 'ERR_PROTOCOL'],
  ['a sequence far off', () => frame(0xffffffff, OK), 'ERR_PROTOCOL'],
  ['a status that no table has', ({ sequence }) => frame(sequence, 9), 'ERR_PROTOCOL'],
  ['a status of 2^32-1', ({ sequence }) => frame(sequence, 0xffffffff), 'ERR_PROTOCOL'],
]

for (const [name, op, issue] of operations) {
  for (const [what, answer, code] of lies) {
    test.serial(`${what} fails the ${name} with ${code}, and the next one is served on another lane`, async (t) => {
      const peer = await connect(t, once(op, (request) => request.socket.write(answer(request))))
      await t.throwsAsync(async () => issue(peer), { code })
      await issue(peer)
      t.true(t.context.listeners[0]!.lanes >= 2)
      t.true(t.context.endpoint.stats().lanes.poisoned >= 1)
    })
  }

  test.serial(`half a status frame and then the end fails the ${name} with ERR_PEER_CLOSED`, async (t) => {
    const peer = await connect(t, once(op, ({ socket, sequence }) => socket.end(frame(sequence, OK).subarray(0, 5))))
    await t.throwsAsync(async () => issue(peer), { code: 'ERR_PEER_CLOSED' })
    await issue(peer)
    t.pass()
  })

  test.serial(`every refusal of the table reaches the caller of the ${name} and leaves the lane in use`, async (t) => {
    const codes = { 1: 'ERR_REGION_NOT_FOUND', 2: 'ERR_OUT_OF_RANGE', 3: 'ERR_ACCESS', 4: 'ERR_MESSAGE_SIZE', 5: 'ERR_NO_RECEIVE', 6: 'ERR_LIMIT' }
    for (const [status, code] of Object.entries(codes)) {
      const peer = await connect(t, { request: ({ socket, sequence }) => socket.write(frame(sequence, Number(status))) })
      await t.throwsAsync(async () => issue(peer), { code }, `status ${status}`)
      await t.throwsAsync(async () => issue(peer), { code }, `status ${status} again`)
      await peer.close()
    }
  })
}

test.serial('a status that comes twice poisons the lane, and no operation is completed by it', async (t) => {
  const peer = await connect(t, once(READ, (request) => (honest(request), request.socket.write(frame(request.sequence, OK)))))
  t.deepEqual(Buffer.from(await peer.read('kv')), CONTENT)
  const next = await Promise.resolve(peer.read('kv', { remoteOffset: 100, length: 50 })).catch((error: { code: string }) => error.code)
  if (typeof next === 'string') t.true(['ERR_PROTOCOL', 'ERR_PEER_CLOSED'].includes(next), next)
  else t.deepEqual(Buffer.from(next), CONTENT.subarray(100, 150))
  t.deepEqual(Buffer.from(await peer.read('kv')), CONTENT)
  t.is(t.context.endpoint.stats().lanes.poisoned, 1)
})

test.serial('OK for a request whose body is not out yet is a lie', async (t) => {
  const length = 64 << 20
  let lied = false
  const listener = await RawListener.start({
    describe: (honestly, socket) => {
      const sequence = honestly.readUInt32LE(0)
      const info = { host: '127.0.0.1', port: 1, mr_info: { kv: { addr: REGION.addr, length, access: 'write' } }, memlane: { version: 1, instance: '0' } }
      socket.write(Buffer.concat([frame(sequence, OK), description(JSON.stringify(info))]))
    },
    header: ({ op, sequence, socket }) => {
      // A message: it goes as one request, however long it is.
      if (op !== SEND || lied) return
      lied = true
      // Nothing more is read: the body cannot get out.
      socket.pause()
      socket.write(frame(sequence, OK))
    },
  })
  t.context.listeners.push(listener)
  const peer = await t.context.endpoint.connect(listener.url)
  await t.throwsAsync(async () => peer.send(Buffer.alloc(length)), { code: 'ERR_PROTOCOL' })
})

test.serial('more data than was asked for never reaches the next operation', async (t) => {
  const peer = await connect(t, once(READ, (request) => (honest(request), request.socket.write(Buffer.alloc(64, 0xee)))))
  t.deepEqual(Buffer.from(await peer.read('kv', { length: 100 })), CONTENT.subarray(0, 100))
  const next = await Promise.resolve(peer.read('kv', { length: 100 })).catch((error: { code: string }) => error.code)
  if (typeof next === 'string') t.true(['ERR_PROTOCOL', 'ERR_PEER_CLOSED'].includes(next), next)
  else t.deepEqual(Buffer.from(next), CONTENT.subarray(0, 100))
  t.deepEqual(Buffer.from(await peer.read('kv')), CONTENT)
})

test.serial('a read that is answered with too little and then the end fails with ERR_PEER_CLOSED', async (t) => {
  const peer = await connect(t, once(READ, ({ socket, sequence }) => socket.end(Buffer.concat([frame(sequence, OK), CONTENT.subarray(0, 4095)]))))
  await t.throwsAsync(async () => peer.read('kv'), { code: 'ERR_PEER_CLOSED' })
  t.deepEqual(Buffer.from(await peer.read('kv')), CONTENT)
})

test.serial('an answer that comes after its read timed out never reaches another read', async (t) => {
  let late: Heard | undefined
  const peer = await connect(t, {
    request: (request) => {
      if (request.op === READ && !late) {
        late = request
        return
      }
      if (late && late.lane === request.lane) honest(late)
      honest(request)
    },
  })
  await t.throwsAsync(async () => peer.read('kv', { remoteOffset: 0, length: 64, timeoutMs: 100 }), { code: 'ERR_TIMEOUT' })
  t.deepEqual(Buffer.from(await peer.read('kv', { remoteOffset: 64, length: 64 })), CONTENT.subarray(64, 128))
})

test.serial('a silent target times out every operation', async (t) => {
  const peer = await connect(t, {})
  for (const issue of [
    () => peer.read('kv', { timeoutMs: 100 }),
    () => peer.write('kv', CONTENT, { timeoutMs: 100 }),
    () => peer.send(CONTENT, { timeoutMs: 100 }),
  ]) {
    await t.throwsAsync(async () => issue(), { code: 'ERR_TIMEOUT' })
  }
})

test.serial('a preface that is none, or of versions that were not offered, fails the connect', async (t) => {
  const prefaces: [what: string, bytes: Buffer][] = [
    ['another magic', preface({ magic: Buffer.from('memlanE\0') })],
    ['version 0', preface({ lowest: 0, highest: 0 })],
    ['version 2', preface({ lowest: 2, highest: 2 })],
    ['lowest above highest', preface({ lowest: 2, highest: 1 })],
    ['noise', pattern('noise', 64)],
  ]
  for (const [what, bytes] of prefaces) await t.throwsAsync(connect(t, { preface: bytes }), { code: 'ERR_PROTOCOL' }, what)
})

test.serial('a description that is too long or makes no sense fails the connect', async (t) => {
  const entry = (region: object) => JSON.stringify({ host: '127.0.0.1', port: 1, mr_info: { kv: region }, memlane: { version: 1, instance: '0' } })
  const descriptions: [what: string, bytes: Buffer][] = [
    ['2^32-1 bytes', description('{}', 2 ** 32 - 1)],
    ['a byte more than the wire has room for', description('{}', (1 << 28) + 1)],
    ['nothing', description('')],
    ['no JSON', description('{"host":')],
    ['a name of its own choice for a class', description(entry({ addr: { constructor: { name: '\u001b[31m'.repeat(50_000) } }, length: 1 }))],
    ['no object', description('null')],
    ['no UTF-8', Buffer.concat([description('', 4), Buffer.from([0xff, 0xfe, 0x80, 0x00])])],
    ['a fractional address', description(entry({ addr: 1.5, length: 1 }))],
    ['a negative length', description(entry({ addr: 1, length: -1 }))],
    ['an address no number can hold', description(entry({ addr: 2 ** 60, length: 1 }))],
    ['a range beyond every number', description(entry({ addr: 2 ** 53 - 2, length: 4096 }))],
    ['a list for a region', description(entry([1, 2]))],
  ]
  for (const [what, bytes] of descriptions) {
    const describe: Script['describe'] = (honestly, socket) => socket.write(Buffer.concat([honestly.subarray(0, 8), bytes]))
    const error = await t.throwsAsync(connect(t, { describe }), { code: 'ERR_PROTOCOL' }, what)
    t.true((error?.message.length ?? 0) < 300, `${what}: the message stays a line`)
  }
})

test.serial('a target that leaves at any point of the handshake fails the connect', async (t) => {
  const scripts: [what: string, script: Script][] = [
    ['in place of a preface', { preface: Buffer.alloc(0), hangUp: true }],
    ['in its preface', { preface: preface().subarray(0, 20), hangUp: true }],
    ['behind its preface', { preface: preface(), hangUp: true }],
    ['before its description', { describe: (_, socket) => socket.resetAndDestroy() }],
    ['in its description', { describe: (honestly, socket) => socket.end(honestly.subarray(0, 30)) }],
  ]
  for (const [what, script] of scripts) {
    const error = await t.throwsAsync(connect(t, script), undefined, what)
    t.true(['ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_PROTOCOL'].includes((error as unknown as { code: string }).code), `${what}: ${String(error)}`)
  }
})

test.serial('nothing but requests goes to a target: it is never asked to ping or describe with a body', async (t) => {
  const heard: Heard[] = []
  const peer = await connect(t, { header: (request) => heard.push(request), request: honest })
  await peer.read('kv')
  await peer.write('kv', CONTENT)
  await peer.send(CONTENT, { tag: 5 })
  for (const { op, size, addr } of heard) if (op === PING) t.deepEqual([size, addr], [0, 0])
  const of = (op: number) => heard.filter((request) => request.op === op).map(({ size, addr }) => ({ size, addr }))
  t.deepEqual(of(READ), [{ size: 4096, addr: REGION.addr }])
  t.deepEqual(of(WRITE), [{ size: 4096, addr: REGION.addr }])
  t.deepEqual(of(SEND), [{ size: 4096, addr: 5 }])
})
