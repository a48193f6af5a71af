import test, { type ExecutionContext } from 'ava'
import { type BatchOptions, type MemlaneError, type MemoryRegion, type Peer, type TransferFuture } from 'memlane'
import { counting, endpoint } from './support/pair'
import { description, frame, RawListener, REGION } from './support/raw-listener'
import { WRITE } from './support/raw'

const BYTES = 4
const TENSOR = { ...REGION, length: BYTES, access: 'readwrite', dtype: 'uint8', shape: [BYTES] }

/** A peer that described itself once, with a tensor "kv", and answers nothing else. */
async function mute(t: ExecutionContext, progressTimeoutMs = 120_000): Promise<{ peer: Peer; local: MemoryRegion }> {
  let described = false
  const listener = await RawListener.start({
    describe: (honest, socket) => {
      if (described) return
      described = true
      const info = { host: '127.0.0.1', port: 1, mr_info: { kv: TENSOR }, memlane: { version: 1, instance: '0' } }
      socket.write(Buffer.concat([frame(honest.readUInt32LE(0), 0), description(JSON.stringify(info))]))
    },
  })
  t.teardown(() => listener.stop())
  const initiator = await endpoint(t, { progressTimeoutMs })
  return { peer: await initiator.connect(listener.url), local: initiator.alloc('local', BYTES) }
}

/** Every operation on a peer that takes a deadline and a signal, by every kind of memory. */
function operations({ peer, local }: { peer: Peer; local: MemoryRegion }): [string, (options?: BatchOptions) => TransferFuture<unknown>][] {
  const view = new Uint8Array(BYTES)
  const entry = { remote: 'kv', local }
  return [
    ['read', (options) => peer.read('kv', options)],
    ['read into a region', (options) => peer.read('kv', { into: local, ...options })],
    ['read into a view', (options) => peer.read('kv', { into: view, ...options })],
    ['readTensor', (options) => peer.readTensor('kv', options)],
    ['write of a region', (options) => peer.write('kv', local, options)],
    ['write of a view', (options) => peer.write('kv', view, options)],
    ['write with a notification', (options) => peer.write('kv', view, { notify: 1, ...options })],
    ['send of a region', (options) => peer.send(local, options)],
    ['send of a view', (options) => peer.send(view, options)],
    ['readBatch', (options) => peer.readBatch([entry], options)],
    ['writeBatch', (options) => peer.writeBatch([entry], options)],
    ['descriptors', (options) => peer.readBatch(Float64Array.of(0, 0, BYTES), { ...entry, ...options })],
    ['a prepared batch', (options) => peer.prepare('write', [entry]).start(options)],
    ['refresh', (options) => peer.refresh(options)],
  ]
}

test('every operation ends at its timeoutMs with ERR_TIMEOUT', async (t) => {
  for (const [what, issue] of operations(await mute(t))) {
    const error = await t.throwsAsync<MemlaneError>(issue({ timeoutMs: 30 }).wait(), undefined, what)
    t.like(error, { code: 'ERR_TIMEOUT', origin: 'local', retryable: true }, what)
  }
})

test('every operation ends with its signal, whose reason is the cause', async (t) => {
  for (const [what, issue] of operations(await mute(t))) {
    const controller = new AbortController()
    const ended = issue({ signal: controller.signal }).wait()
    controller.abort(what)
    t.like(await t.throwsAsync<MemlaneError>(ended, undefined, what), { code: 'ERR_ABORTED', cause: what }, what)
  }
})

test('an operation has 30 seconds where nobody says how long, and as long as it likes with 0', async (t) => {
  t.timeout(90_000)
  const silent = await mute(t)
  const began = performance.now()
  const forever = silent.peer.read('kv', { timeoutMs: 0 })
  const patience = operations(silent).map(async ([what, issue]) => {
    t.like(await t.throwsAsync<MemlaneError>(issue().wait(), undefined, what), { code: 'ERR_TIMEOUT' }, what)
    const seconds = (performance.now() - began) / 1000
    t.true(seconds > 29.9 && seconds < 45, `${what}: ${seconds} s`)
  })
  await Promise.all(patience)
  t.is(await forever.waitFor(0), null)
  forever.cancel()
  await t.throwsAsync(forever.wait(), { code: 'ERR_ABORTED' })
})

test('a write and its notification have one deadline', async (t) => {
  const listener = await RawListener.start({
    request: ({ op, sequence, socket }) => {
      if (op === WRITE) setTimeout(() => socket.write(frame(sequence, 0)), 700)
    },
  })
  t.teardown(() => listener.stop())
  const initiator = await endpoint(t)
  const peer = await initiator.connect(listener.url)
  const began = performance.now()
  const write = peer.write('kv', new Uint8Array(BYTES), { notify: 1, timeoutMs: 1_000 })
  await t.throwsAsync(write.wait(), { code: 'ERR_TIMEOUT' })
  const took = performance.now() - began
  t.true(took > 990 && took < 1_600, `${took} ms`)
})

test('memory of JavaScript is what it was when its read has ended at a deadline', async (t) => {
  const { peer } = await mute(t)
  const into = counting(BYTES)
  await t.throwsAsync(peer.read('kv', { into, timeoutMs: 30 }).wait(), { code: 'ERR_TIMEOUT' })
  t.deepEqual(into, counting(BYTES))
})
