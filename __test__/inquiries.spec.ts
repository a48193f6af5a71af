import test, { type ExecutionContext } from 'ava'
import type { MemlaneError, Peer, TcpEndpoint, TransferFuture } from 'memlane'
import { endpoint, fill, pair, thrown } from './support/pair'
import { READ } from './support/raw'
import { description, frame, RawListener } from './support/raw-listener'
import { until } from './support/until'

const LENGTH = 8
const CONTENT = Buffer.from('question')

/** A peer that counts how often it is asked to describe itself, and says what it has when it is told to. */
class Asked {
  readonly names = new Set<string>()
  /** Questions so far, without that of the connect. */
  questions = 0
  isHeld = false
  readonly #held: (() => void)[] = []
  #isConnected = false
  peer!: Peer
  initiator!: TcpEndpoint

  static async start(t: ExecutionContext): Promise<Asked> {
    const asked = new Asked()
    const listener = await RawListener.start({
      describe: (honest, socket) => {
        if (asked.#isConnected) asked.questions++
        asked.#isConnected = true
        // What it has when it is asked, whenever the answer comes through.
        const regions = [...asked.names].map((name) => [name, { addr: 4096, length: LENGTH, access: 'readwrite' }])
        const info = { host: '127.0.0.1', port: 1, mr_info: Object.fromEntries(regions), memlane: { version: 1, instance: '0' } }
        const answer = () => void socket.write(Buffer.concat([honest.subarray(0, 8), description(JSON.stringify(info))]))
        if (asked.isHeld) asked.#held.push(answer)
        else answer()
      },
      request: ({ op, sequence, size, socket }) => socket.write(Buffer.concat([frame(sequence, 0), op === READ ? CONTENT.subarray(0, size) : Buffer.alloc(0)])),
    })
    t.teardown(() => listener.stop())
    asked.initiator = await endpoint(t)
    asked.peer = await asked.initiator.connect(listener.url)
    return asked
  }

  /** Lets the answers through that are held, and those that follow. */
  release(): void {
    this.isHeld = false
    for (const answer of this.#held.splice(0)) answer()
  }
}

const codeOf = (future: TransferFuture<unknown>) => future.wait().then(() => 'done', (error: MemlaneError) => error.code)

/** Every kind of operation that has names. */
function operations({ peer, initiator }: Asked, name: string): [string, TransferFuture<unknown>][] {
  const local = initiator.alloc(`local ${name}`, LENGTH)
  const view = new Uint8Array(LENGTH)
  return [
    ['read', peer.read(name)],
    ['read into a view', peer.read(name, { into: view })],
    ['read into a region', peer.read(name, { into: local })],
    ['write of a view', peer.write(name, view)],
    ['write of a region', peer.write(name, local)],
    ['write with a notification', peer.write(name, view, { notify: 1 })],
    ['readBatch', peer.readBatch([{ remote: name, local: view }])],
    ['writeBatch', peer.writeBatch([{ remote: name, local: view }])],
    ['a prepared batch', peer.prepare('read', [{ remote: name, local }]).start()],
  ]
}

test('a thousand operations with a name that is new ask the peer twice, not a thousand times', async (t) => {
  const asked = await Asked.start(t)
  asked.names.add('new')
  const reads = Array.from({ length: 1000 }, () => asked.peer.read('new'))
  for (const read of reads) t.deepEqual(Buffer.from(await read), CONTENT)
  t.is(asked.questions, 2)
  const missing = Array.from({ length: 1000 }, () => codeOf(asked.peer.read('nobody')))
  t.deepEqual(new Set(await Promise.all(missing)), new Set(['ERR_REGION_NOT_FOUND']))
  t.is(asked.questions, 4)
  for (const [what, future] of operations(asked, 'nobody')) t.is(await codeOf(future), 'ERR_REGION_NOT_FOUND', what)
  t.is(asked.questions, 6)
  asked.names.add('later')
  for (const [what, future] of operations(asked, 'later')) t.is(await codeOf(future), 'done', what)
  t.is(asked.questions, 8)
})

test('an answer that was asked for before the call is not believed', async (t) => {
  const asked = await Asked.start(t)
  asked.isHeld = true
  const early = asked.peer.read('new')
  await until(() => asked.questions === 1)
  // The peer has looked, and has no such region. Now it makes it.
  asked.names.add('new')
  const late = [asked.peer.read('new'), asked.peer.read('new')]
  asked.release()
  t.is(await codeOf(early), 'ERR_REGION_NOT_FOUND')
  for (const read of late) t.is(await codeOf(read), 'done')
  t.is(asked.questions, 2)
})

test('of those that share a question each has its own deadline, cancel and signal', async (t) => {
  const asked = await Asked.start(t)
  const { peer } = asked
  asked.names.add('new')
  asked.isHeld = true
  const first = peer.read('new', { timeoutMs: 0 })
  const stays = [peer.read('new'), peer.read('new', { timeoutMs: 0 })]
  const late = peer.read('new', { timeoutMs: 20 })
  const cancelled = peer.readBatch([{ remote: 'new', local: new Uint8Array(LENGTH) }])
  const controller = new AbortController()
  const followed = peer.write('new', CONTENT, { signal: controller.signal })
  const words = `${peer.host}:${peer.port}: `
  cancelled.cancel()
  cancelled.cancel()
  t.like(await t.throwsAsync(cancelled.wait()), { code: 'ERR_ABORTED', operation: 'read', origin: 'local', retryable: false })
  controller.abort('enough')
  const aborted = await t.throwsAsync<MemlaneError>(followed.wait())
  t.like(aborted, { code: 'ERR_ABORTED', operation: 'write', cause: 'enough', peer: `${peer.host}:${peer.port}` })
  t.true(aborted?.message.startsWith(`write to ${words}`), aborted?.message)
  const timedOut = await t.throwsAsync<MemlaneError>(late.wait())
  t.like(timedOut, { code: 'ERR_TIMEOUT', operation: 'read', origin: 'local', retryable: true })
  t.true(timedOut?.message.startsWith(`read from ${words}`), timedOut?.message)
  t.is(await first.waitFor(0), null)
  asked.release()
  for (const read of [first, ...stays]) t.is(await codeOf(read), 'done')
  t.is(asked.questions, 2)
})

test('a question that nobody waits for any more is taken back, and the next is asked', async (t) => {
  const asked = await Asked.start(t)
  const { peer } = asked
  asked.names.add('new')
  asked.isHeld = true
  const [first, second, short] = [peer.read('new'), peer.read('new'), peer.read('new', { timeoutMs: 20 })]
  t.is(peer.stats().operations.inFlight, 1)
  await until(() => asked.questions === 1)
  first.cancel()
  t.is(await codeOf(first), 'ERR_ABORTED')
  t.is(await codeOf(short), 'ERR_TIMEOUT')
  await until(() => asked.questions === 2)
  second.cancel()
  t.is(await codeOf(second), 'ERR_ABORTED')
  await until(() => peer.stats().operations.inFlight === 0)
  t.like(peer.stats().operations, { cancelled: 2, describes: 3, reads: 0 })
  const alone = peer.read('new', { timeoutMs: 20 })
  t.is(await codeOf(alone), 'ERR_TIMEOUT')
  asked.release()
  t.is(await codeOf(peer.read('new')), 'done')
})

test('a peer that is closed ends all that wait for it to describe itself, before the close is over', async (t) => {
  const asked = await Asked.start(t)
  asked.isHeld = true
  const ended: string[] = []
  const waits = operations(asked, 'new').map(async ([what, future]) => {
    const code = await codeOf(future)
    ended.push(what)
    t.is(code, 'ERR_CLOSED', what)
  })
  await until(() => asked.questions === 1)
  await asked.peer.close()
  t.is(ended.length, waits.length)
  await Promise.all(waits)
  t.is(asked.questions, 1)
})

test('a question that fails ends each of its operations as what it is', async (t) => {
  const { target, peer } = await pair(t)
  await target.close()
  const label = `${peer.host}:${peer.port}: `
  const issues = [
    ['read', `read from ${label}`, () => peer.read('x')],
    ['read', `read from ${label}`, () => peer.read('x')],
    ['write', `write to ${label}`, () => peer.write('x', CONTENT)],
    ['read', `read from ${label}`, () => peer.readBatch([{ remote: 'x', local: new Uint8Array(1) }])],
    ['write', `write to ${label}`, () => peer.writeBatch([{ remote: 'x', local: CONTENT }])],
  ] as const
  const futures = issues.map(([operation, words, issue]) => [operation, words, issue()] as const)
  const errors = new Set<unknown>()
  for (const [operation, words, future] of futures) {
    const error = await t.throwsAsync<MemlaneError>((future as TransferFuture<unknown>).wait())
    t.is(error?.operation, operation)
    t.true(error?.message.startsWith(words), error?.message)
    errors.add(error)
  }
  t.is(errors.size, issues.length)
  t.is(peer.stats().queuedBytes, 0)
})

test('waitSync waits for a shared question too, and ends at a deadline that no timer keeps', async (t) => {
  const { target, peer } = await pair(t)
  fill(target.alloc('new', LENGTH, { access: 'read' }).buffer, CONTENT)
  const reads = Array.from({ length: 3 }, () => peer.read('new'))
  t.deepEqual(Buffer.from(reads[2]!.waitSync()), CONTENT)
  for (const read of reads) t.deepEqual(Buffer.from(read.waitSync(30) as Uint8Array), CONTENT)

  const asked = await Asked.start(t)
  asked.isHeld = true
  const first = asked.peer.read('new', { timeoutMs: 0 })
  const [short, long] = [asked.peer.read('new', { timeoutMs: 40 }), asked.peer.read('new')]
  t.is(long.waitSync(0), null)
  t.is(long.waitSync(0.02), null)
  t.like(thrown(() => short.waitSync()), { code: 'ERR_TIMEOUT', operation: 'read' })
  t.is(first.waitSync(0), null)
  for (const future of [first, long]) future.cancel()
  for (const future of [first, long]) t.like(thrown(() => future.waitSync()), { code: 'ERR_ABORTED' })
})

test('waitSync goes on where an address has gone and the peer is asked for the new one', async (t) => {
  const { target, peer } = await pair(t)
  const old = target.alloc('kv', LENGTH, { access: 'read' })
  await peer.read('kv')
  await old.close()
  fill(target.alloc('kv', LENGTH, { access: 'read' }).buffer, CONTENT)
  const reads = Array.from({ length: 3 }, () => peer.read('kv'))
  for (const read of reads.reverse()) t.deepEqual(Buffer.from(read.waitSync(30) as Uint8Array), CONTENT)
})
