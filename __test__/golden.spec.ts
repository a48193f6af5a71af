import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { type MemoryRegion, TcpEndpoint } from 'memlane'
import { decode, encode, type Frame, RawSocket, relocated, SAMPLE, type Vector, vectors } from './support/golden'

const VECTORS = vectors()
/** A side that waits for bytes which never come fails its own test, not the whole run. */
const SILENCE_MS = 20_000
const FIELDS_SAY_ALL = ['header', 'status', 'preface', 'auth', 'length']

function vector(name: string): Vector {
  const found = VECTORS.find((vector) => vector.name === name)
  if (!found) throw new Error(`no vector is named ${name}`)
  return found
}

function sent(name: string, sender: Frame['sender'], kind?: string): Frame[] {
  return vector(name).frames.filter((frame) => frame.sender === sender && (!kind || frame.kind === kind))
}

function bytes(frames: readonly Frame[]): Buffer {
  return Buffer.concat(frames.map((frame) => frame.bytes))
}

function decimal(fields: Record<string, string>): Record<string, string> {
  const entries = Object.entries(fields)
  return Object.fromEntries(entries.map(([name, text]) => [name, text.startsWith('0x') ? `${BigInt(text)}` : text]))
}

test('every golden frame says the same in TypeScript as in its fields', (t) => {
  t.true(VECTORS.length > 0)
  for (const { name, frames } of VECTORS) {
    for (const [index, frame] of frames.entries()) {
      const fields = decimal(frame.fields)
      t.deepEqual(decode(frame.kind, frame.bytes), fields, `${name}.hex, frame ${index}`)
      if (FIELDS_SAY_ALL.includes(frame.kind)) {
        t.is(encode(frame.kind, fields).toString('hex'), frame.bytes.toString('hex'), `${name}.hex, frame ${index}`)
      }
    }
  }
})

test('the golden proofs are the HMACs that the protocol defines', (t) => {
  const prefaces = bytes(vector('auth').frames.filter(({ kind }) => kind === 'preface'))
  const key = createHash('sha256').update('open sesame').digest()
  for (const [sender, label] of [['initiator', 'memlane i'], ['target', 'memlane t']] as const) {
    const proof = createHmac('sha256', key).update(label).update(prefaces).digest('hex')
    t.is(bytes(sent('auth', sender, 'auth')).toString('hex'), proof)
  }
  const hint = createHash('sha256').update('primary').digest().readUInt32LE(0)
  t.is(Number(sent('auth', 'initiator', 'preface')[0]?.fields.token_hint), hint)
})

test('the golden endpoint info is the sample target', (t) => {
  const info = JSON.parse(bytes(sent('native-describe', 'target', 'json')).toString()) as unknown
  const instance = sent('preface', 'target')[0]?.fields.instance
  t.deepEqual(info, { host: '127.0.0.1', port: 7400, mr_info: SAMPLE, memlane: { version: 1, instance } })
})

/** A live target that holds what the sample target holds. */
interface Rig {
  readonly endpoint: TcpEndpoint
  readonly weights: MemoryRegion
  readonly inbox: MemoryRegion
}

/** What surrounds one vector on a live target. */
interface Scene {
  readonly options?: Parameters<typeof TcpEndpoint.listen>[0]
  /** Runs in front of the frame with this index. */
  readonly before?: { readonly frame: number; readonly act: (rig: Rig) => void }
  /** Runs when the connection is over. */
  readonly after?: (t: ExecutionContext, rig: Rig) => unknown
}

/** Posts a receive in front of a frame and says what must be in it at the end. */
function receiving(frame: number, tag: number, length: number, expected: { data: string; messageBytes: number }): Scene {
  const posted = new WeakMap<TcpEndpoint, ReturnType<TcpEndpoint['recv']>>()
  return {
    before: { frame, act: ({ endpoint }) => void posted.set(endpoint, endpoint.recv(new Uint8Array(length), { tag })) },
    after: async (t, { endpoint }) => {
      const message = await posted.get(endpoint)
      t.is(Buffer.from(message?.data ?? []).toString(), expected.data)
      t.is(message?.bytes, expected.data.length)
      t.is(message?.messageBytes, expected.messageBytes)
      t.is(message?.truncated, expected.messageBytes > expected.data.length)
      t.is(message?.tag, tag)
    },
  }
}

function inboxHolds(offset: number, text: string): Scene {
  const expected = Buffer.alloc(SAMPLE.inbox.length)
  expected.write(text, offset)
  return { after: (t, { inbox }) => t.is(inbox.text(0, inbox.length), expected.toString()) }
}

const WEIGHTS = Buffer.from(Array.from({ length: SAMPLE.weights.length }, (_, index) => index))
const UNTOUCHED: Scene = {
  after: (t, { weights }) => t.is(Buffer.from(weights.copyOut(0, weights.length)).toString('hex'), WEIGHTS.toString('hex')),
}

const LIVE: Record<string, Scene> = {
  'auth-refused': {},
  'auth-rejected': { options: { tokens: { primary: 'open sesame' } } },
  'legacy-read': {},
  'legacy-refused': {},
  'legacy-send': receiving(0, 0, 8, { data: 'hello', messageBytes: 5 }),
  'legacy-session': inboxHolds(28, 'tail'),
  'legacy-unknown-opcode': {},
  'legacy-write': inboxHolds(8, 'ping'),
  'legacy-zero': {},
  'native-access-denied': UNTOUCHED,
  'native-bad-request-describe': {},
  'native-bad-request-opcode': {},
  'native-bad-request-ping': {},
  'native-closing': { before: { frame: 4, act: ({ endpoint }) => void endpoint.close() } },
  'native-describe': {},
  'native-limit': {},
  'native-message-size': receiving(0, 7, 8, { data: 'longer t', messageBytes: 16 }),
  'native-no-receive': { options: { unexpectedTimeoutMs: 50 } },
  'native-no-such-region': {},
  'native-order': inboxHolds(0, 'next'),
  'native-out-of-range': {},
  'native-ping': {},
  'native-read': {},
  'native-read-zero': {},
  'native-send': receiving(0, 7, 8, { data: 'hello', messageBytes: 5 }),
  'native-send-later': receiving(5, 9, 8, { data: 'later', messageBytes: 5 }),
  'native-send-zero': receiving(0, 7, 8, { data: '', messageBytes: 0 }),
  'native-session': receiving(0, 7, 8, { data: 'hello', messageBytes: 5 }),
  'native-write': inboxHolds(8, 'ping'),
  'native-write-zero': UNTOUCHED,
  preface: {},
  'preface-newer': {},
  'preface-version-inverted': {},
  'preface-version-unsupported': {},
  'preface-version-zero': {},
}

/** Vectors that no connection to a live target can show, with the reason. */
const ELSEWHERE: Record<string, string> = {
  auth: 'its proofs are of nonces that a live target does not repeat; token.spec.ts has the handshake',
  'native-sequence-wrap': 'it takes 2^32 requests',
  'native-unknown-status': 'it is for the initiator, below',
}

test('every vector is played to a live endpoint or has a reason not to be', (t) => {
  t.deepEqual([...Object.keys(LIVE), ...Object.keys(ELSEWHERE)].sort(), VECTORS.map(({ name }) => name).sort())
})

async function rig(options: Scene['options']): Promise<Rig> {
  const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0, ...options })
  const weights = endpoint.alloc('weights', SAMPLE.weights.length, { access: SAMPLE.weights.access })
  const inbox = endpoint.alloc('inbox', SAMPLE.inbox.length, { access: SAMPLE.inbox.access })
  new Uint8Array(weights.buffer).set(WEIGHTS)
  return { endpoint, weights, inbox }
}

/** Reads one frame of the target and compares it, but for what a live target chooses by itself. */
async function expectFrame(t: ExecutionContext, raw: RawSocket, frame: Frame, { endpoint, weights, inbox }: Rig): Promise<void> {
  if (frame.kind === 'preface') {
    const info = endpoint.endpointInfo()
    const answer = decode('preface', (await raw.read(64)) ?? Buffer.alloc(0))
    t.deepEqual(answer, { ...decimal(frame.fields), instance: info.memlane?.instance ?? '', nonce: answer.nonce ?? '' })
    t.not(answer.nonce, '00'.repeat(32))
  } else if (frame.kind === 'length') {
    const length = (await raw.read(4))?.readUInt32LE(0) ?? 0
    const json = JSON.parse((await raw.read(length))?.toString() ?? '') as unknown
    const mr_info = {
      weights: { ...SAMPLE.weights, addr: Number(weights.address) },
      inbox: { ...SAMPLE.inbox, addr: Number(inbox.address) },
    }
    t.deepEqual(json, { ...endpoint.endpointInfo(), host: '127.0.0.1', port: endpoint.port, mr_info })
  } else if (frame.kind === 'close') {
    t.is((await raw.rest()).toString('hex'), '', 'bytes in front of the close')
  } else if (frame.kind !== 'json') {
    t.is((await raw.read(frame.bytes.length))?.toString('hex'), frame.bytes.toString('hex'), frame.kind)
  }
}

for (const [name, scene] of Object.entries(LIVE)) {
  test(`a listening endpoint answers the golden requests with the golden answers: ${name}`, async (t) => {
    t.timeout(SILENCE_MS)
    const live = await rig(scene.options)
    t.teardown(() => live.endpoint.close())
    const raw = await RawSocket.open(live.endpoint.port)
    t.teardown(() => raw.destroy())
    if (vector(name).start === 'lane') {
      raw.write(bytes(sent('preface', 'initiator')))
      await expectFrame(t, raw, sent('preface', 'target')[0] as Frame, live)
    }
    const bases = { weights: live.weights.address, inbox: live.inbox.address }
    let requests: Buffer[] = []
    for (const [index, frame] of vector(name).frames.entries()) {
      if (scene.before?.frame === index) scene.before.act(live)
      if (frame.sender === 'initiator') {
        requests.push(relocated(frame, bases))
        continue
      }
      // One write: what comes behind a close that is already decided would be answered by a reset.
      raw.write(Buffer.concat(requests))
      requests = []
      await expectFrame(t, raw, frame, live)
    }
    raw.write(Buffer.concat(requests))
    // A half close makes the target answer what it has and close; a byte that no vector foresees shows here.
    raw.end()
    t.is((await raw.rest()).toString('hex'), '', 'bytes behind the last answer')
    await scene.after?.(t, live)
  })
}

/** A target of plain sockets that knows the golden requests and nothing else. */
class GoldenTarget {
  readonly #server = createServer({ allowHalfOpen: true })
  readonly #sockets = new Set<RawSocket>()
  readonly requests: string[] = []
  /** What went wrong here: a test that looks only at its own side would wait for ever. */
  readonly faults: string[] = []

  private constructor(talk: (raw: RawSocket, target: GoldenTarget) => Promise<void>) {
    this.#server.on('connection', (socket) => {
      const raw = new RawSocket(socket)
      this.#sockets.add(raw)
      const fault = (error: unknown) => this.faults.push(String(error))
      void talk(raw, this).catch(fault).finally(() => raw.destroy())
    })
  }

  static async listen(talk: (raw: RawSocket, target: GoldenTarget) => Promise<void>): Promise<GoldenTarget> {
    const target = new GoldenTarget(talk)
    target.#server.listen(0, '127.0.0.1')
    await once(target.#server, 'listening')
    return target
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The next request with its payload, as hex; `null` at the end of the connection. */
  async request(raw: RawSocket): Promise<string | null> {
    const header = await raw.read(17)
    if (!header) return null
    const { opcode, size } = decode('header', header)
    const payload = opcode === 'send' || opcode === 'write' ? await raw.read(Number(size)) : Buffer.alloc(0)
    if (!payload) throw new Error('the connection ended inside a request')
    const request = Buffer.concat([header, payload]).toString('hex')
    this.requests.push(request)
    return request
  }

  close(): void {
    for (const raw of this.#sockets) raw.destroy()
    this.#server.close()
  }
}

/** The first request of a vector as hex, and the frames that answer it. */
function exchange(name: string): [request: string, answer: Frame[]] {
  const [header, second] = sent(name, 'initiator')
  const request = [header, second].filter((frame) => frame === header || frame?.kind === 'payload') as Frame[]
  const answers = sent(name, 'target')
  const next = answers.findIndex((frame, index) => index > 0 && ['status', 'close'].includes(frame.kind))
  return [bytes(request).toString('hex'), next < 0 ? answers : answers.slice(0, next)]
}

async function shakeHands(raw: RawSocket): Promise<void> {
  const preface = decode('preface', (await raw.read(64)) ?? Buffer.alloc(0))
  const expected = decimal(sent('preface', 'initiator')[0]?.fields ?? {})
  const { instance: _, nonce: __, ...chosen } = preface
  for (const [field, value] of Object.entries(chosen)) {
    if (expected[field] !== value) throw new Error(`${field} of the preface is ${value}`)
  }
  raw.write(bytes(sent('preface', 'target')))
}

/** Answers golden requests with golden answers under the sequence that this lane has come to. */
async function nativeTarget(raw: RawSocket, target: GoldenTarget, answers: ReadonlyMap<string, Frame[]>): Promise<void> {
  await shakeHands(raw)
  for (let sequence = 0; ; sequence += 1) {
    const request = await target.request(raw)
    if (request === null) return
    const answer = answers.get(request)
    if (!answer) throw new Error(`no golden request: ${request}`)
    for (const { kind, fields, bytes } of answer) {
      raw.write(kind === 'status' ? encode(kind, { ...fields, sequence: `${sequence}` }) : bytes)
    }
  }
}

test('an initiator sends the golden requests and understands the golden answers', async (t) => {
  t.timeout(SILENCE_MS)
  const kinds = ['describe', 'ping', 'read', 'read-zero', 'write', 'write-zero', 'send', 'send-zero']
  const names = kinds.map((kind) => `native-${kind}`)
  const answers = new Map(names.map(exchange))
  const target = await GoldenTarget.listen((raw, target) => nativeTarget(raw, target, answers))
  t.teardown(() => target.close())
  const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => endpoint.close())
  const peer = await endpoint.connect(`tcp://127.0.0.1:${target.port}`)
  t.is(Buffer.from(await peer.read('weights')).toString('hex'), WEIGHTS.toString('hex'))
  t.is((await peer.read('weights', { length: 0 })).length, 0)
  t.is(await peer.write('inbox', Buffer.from('ping'), { remoteOffset: 8 }), 4)
  t.is(await peer.write('inbox', new Uint8Array(0)), 0)
  t.is(await peer.send(Buffer.from('hello'), { tag: 7 }), 5)
  t.is(await peer.send(new Uint8Array(0), { tag: 7 }), 0)
  const missing = names.filter((name) => name !== 'native-ping' && !target.requests.includes(exchange(name)[0]))
  t.deepEqual(missing, [], 'requests that were not sent')
  t.deepEqual(target.faults, [])
})

test('an initiator that reads a status outside the table fails with ERR_PROTOCOL', async (t) => {
  t.timeout(SILENCE_MS)
  const unknown = sent('native-unknown-status', 'target')
  const answers = new Map([exchange('native-describe'), [exchange('native-read')[0], unknown] as const])
  const target = await GoldenTarget.listen((raw, target) => nativeTarget(raw, target, answers))
  t.teardown(() => target.close())
  const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => endpoint.close())
  const peer = await endpoint.connect(`tcp://127.0.0.1:${target.port}`)
  await t.throwsAsync(async () => await peer.read('weights'), { code: 'ERR_PROTOCOL' })
  t.deepEqual(target.faults, [])
})

test('an initiator sends the golden legacy requests', async (t) => {
  t.timeout(SILENCE_MS)
  const answers = new Map(['legacy-read', 'legacy-write', 'legacy-send'].map(exchange))
  let allCame = () => {}
  const all = new Promise<void>((resolve) => (allCame = resolve))
  const target = await GoldenTarget.listen(async (raw, target) => {
    for (;;) {
      const request = await target.request(raw)
      if (target.requests.length === answers.size) allCame()
      if (request === null) return
      const answer = answers.get(request)
      if (!answer) throw new Error(`no golden request: ${request}`)
      raw.write(bytes(answer))
    }
  })
  t.teardown(() => target.close())
  const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => endpoint.close())
  const info = { host: '127.0.0.1', port: target.port, mr_info: SAMPLE }
  const peer = await endpoint.connect(info)
  t.is(Buffer.from(await peer.read('weights')).toString('hex'), WEIGHTS.toString('hex'))
  t.is(await peer.write('inbox', Buffer.from('ping'), { remoteOffset: 8 }), 4)
  t.is(await peer.send(Buffer.from('hello')), 5)
  // Nothing acknowledges a legacy WRITE or SEND: only the target can say that they came.
  await all
  t.deepEqual([...target.requests].sort(), [...answers.keys()].sort())
  t.deepEqual(target.faults, [])
})
