import test from 'ava'
import { MemlaneError, type MemoryRegion, type Peer, type TransferFuture } from 'memlane'
import { Random, seed } from './support/raw-random'
import { counting, endpoint, fill, pair, same, thrown, url } from './support/pair'

// Both sides of every size at which a transfer could change its way: a header, a page, a chunk, a piece, several pieces.
const SIZES = [0, 1, 17, 4095, 4096, 4097, 65_535, 65_537, 1 << 20, (1 << 20) + 1, (5 << 20) + 3]
const LARGEST = Math.max(...SIZES)
const MARGIN = 5000

function bytesOf(region: MemoryRegion): Uint8Array {
  return region.copyOut()
}

/** `base` with `part` at `offset`. */
function patched(base: Uint8Array, offset: number, part: Uint8Array): Uint8Array {
  const bytes = base.slice()
  bytes.set(part, offset)
  return bytes
}

test('a read of any size and offset brings exactly those bytes, into private memory, a region or a view', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const remote = target.alloc('remote', LARGEST + MARGIN, { access: 'read' })
  const content = counting(remote.length)
  fill(remote.buffer, content)
  const scratch = initiator.alloc('scratch', remote.length)
  const blank = new Uint8Array(remote.length).fill(0xee)
  const random = new Random('reads')
  for (const length of SIZES) {
    const what = `${length} bytes, MEMLANE_SEED=${seed}`
    const remoteOffset = random.below(MARGIN)
    const intoOffset = random.below(MARGIN)
    const expected = content.subarray(remoteOffset, remoteOffset + length)

    const owned = await peer.read('remote', { remoteOffset, length })
    same(t, owned, expected, `private, ${what}`)

    fill(scratch.buffer, blank)
    t.is(await peer.read('remote', { into: scratch, intoOffset, remoteOffset, length }), length)
    same(t, bytesOf(scratch), patched(blank, intoOffset, expected), `region, ${what}`)

    const view = blank.slice()
    t.is(await peer.read('remote', { into: view, intoOffset, remoteOffset, length }), length)
    same(t, view, patched(blank, intoOffset, expected), `view, ${what}`)
  }
  same(t, await peer.read('remote'), content, 'the whole region')
  same(t, bytesOf(remote), content, 'reading changes nothing')
})

test('a write of any size and offset changes exactly those bytes, from a region or a view', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const remote = target.alloc('remote', LARGEST + MARGIN, { access: 'write' })
  const local = initiator.alloc('local', remote.length)
  const content = counting(remote.length, 7)
  fill(local.buffer, content)
  const blank = new Uint8Array(remote.length).fill(0xee)
  const random = new Random('writes')
  for (const length of SIZES) {
    for (const source of [local, content]) {
      const what = `${length} bytes from a ${source === local ? 'region' : 'view'}, MEMLANE_SEED=${seed}`
      const remoteOffset = random.below(MARGIN)
      const sourceOffset = random.below(MARGIN)
      fill(remote.buffer, blank)
      t.is(await peer.write('remote', source, { remoteOffset, sourceOffset, length }), length)
      const part = content.subarray(sourceOffset, sourceOffset + length)
      same(t, bytesOf(remote), patched(blank, remoteOffset, part), what)
    }
  }
})

test('a length left out is the rest of what is shorter for a read, and of the source for a write', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('remote', 100, { access: 'readwrite' })
  const wide = initiator.alloc('wide', 200)
  t.is((await peer.read('remote', { remoteOffset: 60 })).byteLength, 40)
  t.is(await peer.read('remote', { into: wide }), 100)
  t.is(await peer.read('remote', { into: wide, intoOffset: 150 }), 50)
  t.is(await peer.read('remote', { into: new Uint8Array(30), remoteOffset: 10 }), 30)
  t.is(await peer.read('remote', { into: new Uint8Array(30), remoteOffset: 90 }), 10)
  t.is(await peer.write('remote', new Uint8Array(30), { remoteOffset: 70 }), 30)
  t.is(await peer.write('remote', wide, { sourceOffset: 110 }), 90)
  t.like(thrown(() => peer.write('remote', wide)), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
})

test('a region is found by peers that connected before it was made and after', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t)
  fill(target.alloc('before', 4, { access: 'read' }).buffer, Uint8Array.of(1, 2, 3, 4))
  const peer = await initiator.connect(url(target))
  fill(target.alloc('after', 4, { access: 'readwrite' }).buffer, Uint8Array.of(5, 6, 7, 8))
  t.deepEqual([...peer.regions.keys()], ['before'])
  t.deepEqual([...(await peer.read('before'))], [1, 2, 3, 4])
  t.deepEqual([...(await peer.read('after'))], [5, 6, 7, 8])
  t.deepEqual([...peer.regions.keys()].sort(), ['after', 'before'], 'and is known from then on')
  target.alloc('later', 4, { access: 'write' })
  t.is(await peer.write('later', Uint8Array.of(9)), 1)
})

test('a write to a name that has to be asked for first writes what the source held at the call', async (t) => {
  const { target, peer } = await pair(t)
  const region = target.alloc('late', 4, { access: 'write' })
  const source = Uint8Array.of(1, 2, 3, 4)
  const write = peer.write('late', source)
  source.fill(0)
  await write
  t.deepEqual([...region.copyOut()], [1, 2, 3, 4])
})

test('a write has copied its view when the call returns', async (t) => {
  const { target, peer } = await pair(t)
  const region = target.alloc('inbox', 1 << 20, { access: 'write' })
  await peer.refresh()
  const source = counting(1 << 20)
  const expected = source.slice()
  const write = peer.write('inbox', source)
  source.fill(0)
  await write
  same(t, region.copyOut(), expected)
})

test('every kind of view is read into and written from by its bytes', async (t) => {
  const { target, peer } = await pair(t)
  const region = target.alloc('remote', 64, { access: 'readwrite' })
  const shared = new Uint8Array(new SharedArrayBuffer(24), 8, 8)
  const kinds: [string, ArrayBufferView | ArrayBuffer | SharedArrayBuffer, () => ArrayBufferView][] = [
    ['Uint8ClampedArray', new Uint8ClampedArray(8), () => new Uint8ClampedArray(8)],
    ['Float64Array', new Float64Array(1), () => new Float64Array(1)],
    ['BigUint64Array', new BigUint64Array(1), () => new BigUint64Array(1)],
    ['DataView', new DataView(new ArrayBuffer(16), 8), () => new DataView(new ArrayBuffer(16), 4, 8)],
    ['Buffer of the pool', Buffer.from('12345678'), () => Buffer.from('abcdefgh')],
    ['ArrayBuffer', new ArrayBuffer(8), () => new Uint8Array(8)],
    ['SharedArrayBuffer', new SharedArrayBuffer(8), () => shared],
  ]
  for (const [name, source, into] of kinds) {
    const bytes = ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source)
    bytes.set(counting(8, name.length))
    t.is(await peer.write('remote', source, { remoteOffset: 16 }), 8, name)
    t.deepEqual(region.copyOut(16, 8), counting(8, name.length), name)
    const view = into()
    t.is(await peer.read('remote', { into: view, remoteOffset: 16 }), 8, name)
    t.deepEqual(new Uint8Array(view.buffer, view.byteOffset, 8).slice(), counting(8, name.length), name)
  }
  t.true(new Uint8Array(shared.buffer, 0, 8).every((byte) => byte === 0), 'and nothing beside the view')
})

test('zero bytes are a question: a permission that is missing is an error, nothing else happens', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('sink', 8, { access: 'write' })
  target.alloc('source', 8, { access: 'read' })
  t.is((await peer.read('source', { length: 0, remoteOffset: 8 })).byteLength, 0)
  t.is(await peer.write('sink', new Uint8Array(0), { remoteOffset: 8 }), 0)
  await t.throwsAsync(peer.read('sink', { length: 0 }).wait(), { code: 'ERR_ACCESS' })
  await t.throwsAsync(peer.write('source', new Uint8Array(0)).wait(), { code: 'ERR_ACCESS' })
})

test('what a region does not grant is refused, with the peer and the operation in the error', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('sink', 8, { access: 'write' })
  const source = target.alloc('source', 8, { access: 'read' })
  const local = initiator.alloc('local', 8)
  const expected = { name: 'MemlaneError', code: 'ERR_ACCESS', origin: 'remote', retryable: false, peer: `127.0.0.1:${target.port}` }
  t.like(await t.throwsAsync(peer.read('sink').wait()), { ...expected, operation: 'read' })
  t.like(await t.throwsAsync(peer.read('sink', { into: local }).wait()), { ...expected, operation: 'read' })
  t.like(await t.throwsAsync(peer.write('source', Uint8Array.of(1)).wait()), { ...expected, operation: 'write' })
  t.like(await t.throwsAsync(peer.write('source', local).wait()), { ...expected, operation: 'write' })
  t.deepEqual(source.copyOut(), new Uint8Array(8))
})

test('a region without rights is not there for peers', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('private', 8)
  t.like(await t.throwsAsync(peer.read('private').wait()), { code: 'ERR_REGION_NOT_FOUND', operation: 'read' })
  t.false((await peer.refresh()).has('private'))
})

test('a name that the peer does not have fails with the peer and the operation in the error', async (t) => {
  const { target, peer } = await pair(t)
  const expected = { name: 'MemlaneError', code: 'ERR_REGION_NOT_FOUND', origin: 'remote', peer: `127.0.0.1:${target.port}` }
  t.like(await t.throwsAsync(peer.read('nowhere').wait()), { ...expected, operation: 'read' })
  t.like(await t.throwsAsync(peer.write('nowhere', Uint8Array.of(1)).wait()), { ...expected, operation: 'write' })
  for (const name of ['constructor', 'toString', '__proto__']) {
    await t.throwsAsync(peer.read(name).wait(), { code: 'ERR_REGION_NOT_FOUND' }, name)
  }
})

test('a name that a peer which is gone was never asked for fails as the operation that it was for, in its fields and its words', async (t) => {
  const { target, peer } = await pair(t)
  await target.close()
  for (const [operation, words, issue] of [
    ['read', `read from ${peer.host}:${peer.port}: `, () => peer.read('x')],
    ['write', `write to ${peer.host}:${peer.port}: `, () => peer.write('x', new Uint8Array(1))],
    ['read', `read from ${peer.host}:${peer.port}: `, () => peer.readBatch([{ remote: 'x', local: new Uint8Array(1) }])],
    ['describe', `describe from ${peer.host}:${peer.port}: `, () => peer.refresh()],
  ] as [string, string, () => TransferFuture<unknown>][]) {
    const error = (await t.throwsAsync(issue().wait(), { instanceOf: MemlaneError })) as MemlaneError
    t.is(error.operation, operation)
    t.true(error.message.startsWith(words), error.message)
  }
})

test('what a read without a place to read into gives is all of its ArrayBuffer', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('x', 3 << 20, { access: 'read' })
  for (const length of [0, 1, 3, 4095, 4096, 8193, 2 << 20]) {
    const bytes = await peer.read('x', { remoteOffset: 1, length })
    t.deepEqual([bytes.byteOffset, bytes.byteLength, bytes.buffer.byteLength], [0, length, length])
  }
})

test('names are any UTF-8: __proto__, and 255 bytes of it', async (t) => {
  const { target, peer } = await pair(t)
  const names = ['__proto__', 'constructor', '重み', '🦀'.repeat(63), 'é'.repeat(127), 'x'.repeat(255), ' ', 'a"b\\c\n']
  for (const [index, name] of names.entries()) {
    fill(target.alloc(name, 4, { access: 'read' }).buffer, Uint8Array.of(index))
  }
  for (const [index, name] of names.entries()) t.is((await peer.read(name))[0], index, name)
  t.deepEqual([...peer.regions.keys()].sort(), names.sort())
})

test('a region that was replaced under its name is found again', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const local = initiator.alloc('local', 4)
  const replace = async (region: MemoryRegion | undefined, byte: number) => {
    await region?.close()
    const made = target.alloc('kv', 4, { access: 'readwrite' })
    fill(made.buffer, new Uint8Array(4).fill(byte))
    return made
  }
  let region = await replace(undefined, 1)
  t.is((await peer.read('kv'))[0], 1)
  region = await replace(region, 2)
  t.is((await peer.read('kv'))[0], 2, 'by a private read')
  region = await replace(region, 3)
  t.is(await peer.read('kv', { into: local }), 4)
  t.is(local.copyOut()[0], 3, 'by a read into a region')
  region = await replace(region, 4)
  const view = new Uint8Array(4)
  await peer.read('kv', { into: view })
  t.is(view[0], 4, 'by a read into a view')
  region = await replace(region, 5)
  await peer.write('kv', local)
  t.is(region.copyOut()[0], 3, 'by a write from a region')

  region = await replace(region, 6)
  const missed = await t.throwsAsync(peer.write('kv', Uint8Array.of(7)).wait(), undefined, 'the bytes are gone by then')
  t.like(missed, { code: 'ERR_REGION_NOT_FOUND', retryable: true, operation: 'write' })
  t.is(region.copyOut()[0], 6)
  await peer.write('kv', Uint8Array.of(7))
  t.is(region.copyOut()[0], 7, 'by the next write from a view')
})

test('refresh tells the regions that the peer has now', async (t) => {
  const { target, peer } = await pair(t)
  t.deepEqual([...peer.regions], [])
  const region = target.alloc('x', 8, { access: 'read' })
  const held = peer.regions
  t.deepEqual([...(await peer.refresh())], [['x', region.info()]])
  t.deepEqual([...peer.regions], [['x', region.info()]])
  t.is(held.size, 0, 'what was handed out before stays as it was')
  ;(peer.regions as Map<string, unknown>).clear()
  t.is((await peer.read('x')).byteLength, 8, 'and nobody can spoil it')
})

test('more operations than one turn completes all end, each with its own bytes', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const count = 5000
  const remote = target.alloc('remote', count * 8, { access: 'readwrite' })
  const local = initiator.alloc('local', count * 8)
  const numbers = new Float64Array(remote.buffer)
  for (let index = 0; index < count; index++) numbers[index] = index
  await peer.refresh()
  const reads = Array.from({ length: count }, (_, index) =>
    peer.read('remote', { into: local, intoOffset: 8 * (count - 1 - index), remoteOffset: 8 * index, length: 8 })
  )
  t.true((await Promise.all(reads)).every((bytes) => bytes === 8))
  t.deepEqual(new Float64Array(local.copyOut().buffer), numbers.slice().reverse())
  const writes = Array.from({ length: count }, (_, index) => peer.write('remote', Float64Array.of(-index), { remoteOffset: 8 * index }))
  await Promise.all(writes)
  t.true(new Float64Array(remote.copyOut().buffer).every((number, index) => number === -index))
})

test('an operation is on its way when the call returns: its bytes come while the caller blocks its event loop', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const content = counting(1 << 20)
  fill(target.alloc('remote', 1 << 20, { access: 'read' }).buffer, content)
  const scratch = initiator.alloc('scratch', 1 << 20)
  await peer.refresh()
  const read = peer.read('remote', { into: scratch })
  // Nothing is awaited and no turn ends in here, so whatever arrives arrived without this thread.
  const began = performance.now()
  while (performance.now() - began < 300) Math.sqrt(began)
  const arrived = scratch.copyOut()
  same(t, arrived, content)
  t.is(read.waitSync(0), 1 << 20, 'and the result is there with the next look')
})

test('reads and writes into memory that is no longer there fail, and nothing else is touched', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('remote', 64, { access: 'readwrite' })
  await peer.refresh()
  const into = new Uint8Array(64)
  const read = peer.read('remote', { into })
  structuredClone(into, { transfer: [into.buffer] })
  t.like(await t.throwsAsync(read.wait()), { name: 'MemlaneError', code: 'ERR_UNSAFE_MEMORY' })
  const detached = new Uint8Array(8)
  structuredClone(detached, { transfer: [detached.buffer] })
  t.like(thrown(() => peer.write('remote', detached)), { code: 'ERR_UNSAFE_MEMORY' })
  t.like(thrown(() => peer.write('remote', detached.buffer)), { code: 'ERR_UNSAFE_MEMORY' })
  t.like(thrown(() => peer.read('remote', { into: detached })), { code: 'ERR_UNSAFE_MEMORY' })
  t.is((await peer.read('remote')).byteLength, 64, 'the peer goes on')
})

test('a resizable buffer is refused, a growable shared one is not', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('remote', 64, { access: 'readwrite' })
  await peer.refresh()
  const resizable = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 16 }]) as ArrayBuffer
  for (const call of [
    () => peer.write('remote', resizable),
    () => peer.write('remote', new Uint8Array(resizable, 0, 4)),
    () => peer.read('remote', { into: new Uint8Array(resizable) }),
    () => peer.send(resizable),
    () => target.recv(new DataView(resizable)),
  ]) {
    t.like(thrown(call), { name: 'MemlaneError', code: 'ERR_UNSAFE_MEMORY', origin: 'local' })
  }
  const growable = Reflect.construct(SharedArrayBuffer, [8, { maxByteLength: 16 }]) as SharedArrayBuffer
  t.is(await peer.write('remote', growable), 8)
})

test('a read into a region that is closed meanwhile ends, one way or the other', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('remote', 8 << 20, { access: 'read' })
  const scratch = initiator.alloc('scratch', 8 << 20)
  await peer.refresh()
  const read = peer.read('remote', { into: scratch })
  await scratch.close()
  const outcome = await read.wait().then(
    (bytes) => bytes,
    (error: { code: string }) => error.code
  )
  t.true(outcome === 8 << 20 || outcome === 'ERR_CLOSED', String(outcome))
  t.like(thrown(() => peer.read('remote', { into: scratch })), { code: 'ERR_CLOSED' })
})

const forms: [string, (peer: Peer, region: MemoryRegion, signal: AbortSignal) => PromiseLike<unknown>][] = [
  ['read', (peer, _, signal) => peer.read('remote', { signal })],
  ['read into a region', (peer, into, signal) => peer.read('remote', { into, signal })],
  ['read into a view', (peer, _, signal) => peer.read('remote', { into: new Uint8Array(8), signal })],
  ['write', (peer, _, signal) => peer.write('remote', new Uint8Array(8), { signal })],
  ['write from a region', (peer, region, signal) => peer.write('remote', region, { signal })],
  ['send', (peer, _, signal) => peer.send(new Uint8Array(8), { signal })],
  ['refresh', (peer, _, signal) => peer.refresh({ signal })],
]

for (const [name, issue] of forms) {
  test(`a signal that had fired before: ${name} fails with its reason and nothing is sent`, async (t) => {
    const { target, initiator, peer } = await pair(t)
    const remote = target.alloc('remote', 8, { access: 'readwrite' })
    const local = initiator.alloc('local', 8)
    fill(local.buffer, new Uint8Array(8).fill(1))
    await peer.refresh()
    const before = initiator.stats().operations
    const reason = new Error('too late')
    const error = await t.throwsAsync(async () => issue(peer, local, AbortSignal.abort(reason)))
    t.like(error, { name: 'MemlaneError', code: 'ERR_ABORTED' })
    t.is(error?.cause, reason)
    t.deepEqual(initiator.stats().operations, before)
    t.deepEqual(remote.copyOut(), new Uint8Array(8))
  })
}

test('a signal that fires later leaves what has ended alone', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('remote', 8, { access: 'read' })
  const controller = new AbortController()
  t.is((await peer.read('remote', { signal: controller.signal })).byteLength, 8)
  controller.abort()
  t.is((await peer.read('remote')).byteLength, 8)
})
