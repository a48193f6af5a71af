import { AsyncLocalStorage } from 'node:async_hooks'
import { spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import anyTest, { type ExecutionContext, type TestFn } from 'ava'
import { DIAGNOSTICS_CHANNELS, DISCONNECT_REASONS, type MemlaneError, type OperationMessage, TcpContext, TcpEndpoint } from 'memlane'
import { pair, url } from './support/pair'

/** Everything that the channels tell while a test runs. */
class Trace {
  readonly started: OperationMessage[] = []
  readonly ended: OperationMessage[] = []
  readonly failed: OperationMessage[] = []
  readonly #listeners = Object.entries({
    [DIAGNOSTICS_CHANNELS.start]: this.started,
    [DIAGNOSTICS_CHANNELS.end]: this.ended,
    [DIAGNOSTICS_CHANNELS.error]: this.failed,
  }).map(([name, into]) => [name, (message: unknown) => void into.push(message as OperationMessage)] as const)

  constructor() {
    for (const [name, listener] of this.#listeners) subscribe(name, listener)
  }

  stop(): void {
    for (const [name, listener] of this.#listeners) unsubscribe(name, listener)
  }

  /** What was told since the last call, as start and outcome of each; fails unless each start has exactly one end. */
  async take(t: ExecutionContext): Promise<Record<string, unknown>[]> {
    // Ends come behind the completions of a turn.
    await turn()
    const ends = [...this.ended, ...this.failed]
    t.is(new Set(ends).size, ends.length, 'an operation has ended twice')
    t.is(this.started.length, ends.length)
    t.true(this.started.every((message) => ends.includes(message)), 'a start without an end')
    for (const message of ends) {
      t.true(message.startTime > 0 && message.startTime <= performance.now())
      t.true((message.durationMs ?? -1) >= 0, message.operation)
      t.is(message.error !== undefined, this.failed.includes(message))
    }
    const told = this.started.map(({ startTime: _start, durationMs: _duration, error, ...rest }) => {
      const known = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
      return error === undefined ? known : { ...known, error: (error as MemlaneError).code }
    })
    for (const list of [this.started, this.ended, this.failed]) list.length = 0
    return told
  }
}

// The channels belong to the process: one test at a time.
const test = anyTest as TestFn<Trace>
test.beforeEach((t) => {
  t.context = new Trace()
})
test.afterEach.always((t) => t.context.stop())

test.serial('every operation of the API is told once when it starts and once when it ends, by the same object', async (t) => {
  const trace = t.context
  const context = new TcpContext()
  const target = await TcpEndpoint.listen({ context })
  const initiator = await TcpEndpoint.listen()
  t.deepEqual(await trace.take(t), [{ operation: 'listen' }, { operation: 'listen' }])
  const address = `127.0.0.1:${target.port}`
  const peer = await initiator.connect(url(target))
  t.deepEqual(await trace.take(t), [{ operation: 'connect', peer: address }])

  const region = target.alloc('x', 64, { access: 'readwrite' })
  const scratch = initiator.alloc('scratch', 64)
  // The peer is asked for the name first: one operation all the same.
  await peer.read('x')
  await peer.read('x', { into: scratch, length: 8 })
  await peer.read('x', { into: new Uint8Array(16) })
  const read = { operation: 'read', peer: address, region: 'x' }
  t.deepEqual(await trace.take(t), [{ ...read, bytes: 64 }, { ...read, bytes: 8 }, { ...read, bytes: 16 }])
  await peer.write('x', scratch)
  await peer.write('x', new Uint8Array(4))
  const received = target.recv(new Uint8Array(32), { tag: 5 })
  await peer.write('x', new Uint8Array(3), { notify: 5 })
  await received
  const [whole, part, receive, notified] = await trace.take(t)
  const write = { operation: 'write', peer: address, region: 'x' }
  t.deepEqual([whole, part, notified], [{ ...write, bytes: 64 }, { ...write, bytes: 4 }, { ...write, bytes: 3, tag: 5 }])
  t.like(receive, { operation: 'recv', bytes: 16, tag: 5 })
  t.regex(receive?.peer as string, /^127\.0\.0\.1:\d+$/)

  await peer.readBatch([{ remote: 'x', local: scratch, length: 5 }, { remote: 'x', local: new Uint8Array(6) }])
  await peer.writeBatch(Float64Array.of(0, 0, 7), { remote: 'x', local: scratch })
  await peer.prepare('write', [{ remote: 'x', local: scratch }]).start()
  const batch = { peer: address, region: 'x' }
  t.deepEqual(await trace.take(t), [
    { ...batch, operation: 'readBatch', bytes: 11, entries: 2 },
    { ...batch, operation: 'writeBatch', bytes: 7, entries: 1 },
    { ...batch, operation: 'writeBatch', bytes: 64, entries: 1 },
  ])

  const landed = target.recv(region)
  await peer.send(new Uint8Array(9), { tag: 6 })
  await landed
  await peer.refresh()
  const told = await trace.take(t)
  t.like(told[0], { operation: 'recv', region: 'x', bytes: 9, tag: 6 })
  t.deepEqual(told.slice(1), [
    { operation: 'send', peer: address, bytes: 9, tag: 6 },
    { operation: 'refresh', peer: address },
  ])

  await region.close()
  await peer.close()
  await peer.close()
  await initiator.close()
  await context.close()
  t.deepEqual(await trace.take(t), [
    { operation: 'close', closes: 'region', region: 'x' },
    { operation: 'close', closes: 'peer', peer: address },
    { operation: 'close', closes: 'endpoint' },
    { operation: 'close', closes: 'context' },
    { operation: 'close', closes: 'endpoint' },
  ])
})

test.serial('what fails, at once or later, and what is cancelled ends with an error', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('x', 8, { access: 'read' })
  await peer.refresh()
  const address = `127.0.0.1:${target.port}`
  const trace = t.context
  await trace.take(t)
  const signal = AbortSignal.abort()
  const local = initiator.alloc('local', 8)
  const futures = [
    peer.read('x', { signal }),
    peer.write('x', local, { signal }),
    peer.readBatch([{ remote: 'x', local }], { signal }),
    peer.send(new Uint8Array(1), { signal }),
    peer.send(local, { signal }),
    target.recv(new Uint8Array(1), { signal }),
    peer.refresh({ signal }),
    initiator.connect(url(target), { signal }),
    peer.write('x', local),
    peer.read('nothing'),
    initiator.connect('tcp://127.0.0.1:1'),
  ]
  const cancelled = target.recv(new Uint8Array(1))
  cancelled.cancel()
  await Promise.allSettled([...futures, cancelled])
  const taken = TcpEndpoint.listen({ port: target.port })
  await t.throwsAsync(taken)
  // What is wrong with the call itself is no operation.
  t.throws(() => peer.read('x', { length: 9 }))
  t.throws(() => peer.write('x', 'no bytes' as never))
  const aborted = { error: 'ERR_ABORTED' }
  t.deepEqual(await trace.take(t), [
    { operation: 'read', peer: address, region: 'x', ...aborted },
    { operation: 'write', peer: address, region: 'x', ...aborted },
    { operation: 'readBatch', peer: address, region: 'x', bytes: 8, entries: 1, ...aborted },
    { operation: 'send', peer: address, tag: 0, ...aborted },
    { operation: 'send', peer: address, tag: 0, ...aborted },
    { operation: 'recv', bytes: 1, ...aborted },
    { operation: 'refresh', peer: address, ...aborted },
    { operation: 'connect', peer: address, ...aborted },
    { operation: 'write', peer: address, region: 'x', bytes: 8, error: 'ERR_ACCESS' },
    { operation: 'read', peer: address, region: 'nothing', error: 'ERR_REGION_NOT_FOUND' },
    { operation: 'connect', peer: '127.0.0.1:1', error: 'ERR_CONNECT' },
    { operation: 'recv', bytes: 1, ...aborted },
    { operation: 'listen', error: 'ERR_LISTEN' },
  ])
})

test.serial('an operation that was started before anybody listened is not told, and one whose end nobody hears is no harm', async (t) => {
  const { target } = await pair(t)
  await t.context.take(t)
  t.context.stop()
  const early = target.recv(new Uint8Array(1))
  const late = new Trace()
  early.cancel()
  await t.throwsAsync(early)
  t.deepEqual(await late.take(t), [])
  const unheard = target.recv(new Uint8Array(1))
  late.stop()
  unheard.cancel()
  await t.throwsAsync(unheard)
})

test.serial('an operation that asks the peer first is not told as begun by its second round trip', async (t) => {
  t.context.stop()
  const { target, initiator, peer } = await pair(t)
  target.alloc('kv', 1, { access: 'read' })
  const asking = Array.from({ length: 5 }, () => peer.read('kv'))
  const others = Array.from({ length: 5 }, () => initiator.connect(url(target)))
  let told = 0
  const count = () => void told++
  subscribe(DIAGNOSTICS_CHANNELS.start, count)
  try {
    for (const read of asking) t.is((await read).byteLength, 1)
    for (const connect of others) await connect
    t.is(told, 0)
  } finally {
    unsubscribe(DIAGNOSTICS_CHANNELS.start, count)
  }
})

test.serial('a start is told in the context of its call', async (t) => {
  const { peer } = await pair(t)
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const listener = () => seen.push(storage.getStore())
  subscribe(DIAGNOSTICS_CHANNELS.start, listener)
  await storage.run('request 7', () => peer.refresh().wait())
  unsubscribe(DIAGNOSTICS_CHANNELS.start, listener)
  t.deepEqual(seen, ['request 7'])
})

const THROWING = `
  const { subscribe } = require('node:diagnostics_channel')
  const { TcpEndpoint, DIAGNOSTICS_CHANNELS } = require('memlane')
  const told = []
  process.on('uncaughtException', (error) => told.push(error.message))
  void (async () => {
    const endpoint = await TcpEndpoint.listen()
    endpoint.alloc('x', 8, { access: 'read' })
    const peer = await endpoint.connect('tcp://127.0.0.1:' + endpoint.port)
    await peer.refresh()
    subscribe(DIAGNOSTICS_CHANNELS.start, () => { throw new Error('start') })
    // A subscriber that blocks until an operation of the same batch has ended.
    let last
    subscribe(DIAGNOSTICS_CHANNELS.end, () => { last.waitSync(); throw new Error('end') })
    const reads = [peer.read('x'), peer.read('x'), peer.read('x')]
    last = reads[2]
    last.waitSync()
    await Promise.all(reads)
    while (told.length < 6) await new Promise(setImmediate)
    await new Promise(setImmediate)
    console.log(told.sort().join())
    process.exit(0)
  })()`

test.serial('a subscriber that throws, or waits for another operation, takes no operation with it', (t) => {
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', THROWING], { encoding: 'utf8', timeout: 20_000 })
  t.deepEqual({ stdout, stderr }, { stdout: 'end,end,end,start,start,start\n', stderr: '' })
})

const page = readFileSync(join(dirname(require.resolve('memlane/package.json')), 'docs', 'diagnostics.md'), 'utf8')

/** The first cells of the rows of the table below `heading`. */
function cells(heading: string): (string | undefined)[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell]) => cell)
}

test('an end is told before whoever waits for the operation goes on', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('x', 8, { access: 'read' })
  await peer.refresh()
  await t.context.take(t)
  await peer.read('x')
  t.is(t.context.ended.length, 1)
  await peer.read('x').then(() => t.is(t.context.ended.length, 2))
  await peer.read('x').waitFor(30)
  t.is(t.context.ended.length, 3)
  const error = await peer.read('nowhere').wait().catch((reason: unknown) => reason)
  t.is(t.context.failed[0]?.error, error as Error)
})

test('docs/diagnostics.md has the channels and the reasons of a disconnect', (t) => {
  t.deepEqual(cells('Operations').filter((cell) => cell?.startsWith('memlane:')), Object.values(DIAGNOSTICS_CHANNELS))
  t.deepEqual(cells('Events').filter((cell) => DISCONNECT_REASONS.includes(cell as never)), [...DISCONNECT_REASONS])
})
