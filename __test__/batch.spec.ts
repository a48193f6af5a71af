import { dirname, join } from 'node:path'
import test from 'ava'
import { type Assignment, type MemoryRegion, TcpContext, TcpEndpoint } from 'memlane'
import { Random, seed } from './support/raw-random'
import { counting, fill, pair, same, thrown } from './support/pair'
import { Silent } from './support/pair-silent'

interface Patch {
  describe(...given: unknown[]): unknown
}
const engine = require(join(dirname(require.resolve('memlane/package.json')), 'native.js')) as Patch

interface Entry {
  remote: string
  remoteOffset: number
  local: MemoryRegion | Uint8Array
  localOffset: number
  length: number
}

/** `count` entries of up to `most` bytes that overlap nowhere, over two regions at the peer and four ends here. */
function entriesOf(random: Random, count: number, most: number, locals: (MemoryRegion | Uint8Array)[]): Entry[] {
  const used = locals.map(() => 0)
  const remoteUsed = [0, 0]
  const entries = Array.from({ length: count }, () => {
    const [end, name] = [random.below(locals.length), random.below(2)] as const
    const length = random.below(most + 1)
    const entry = {
      remote: `kv${name}`,
      remoteOffset: remoteUsed[name]!,
      local: locals[end]!,
      localOffset: used[end]!,
      length,
    }
    used[end]! += length + random.below(3)
    remoteUsed[name]! += length + random.below(3)
    return entry
  })
  // In no order at all.
  for (let index = entries.length - 1; index > 0; index--) {
    const other = random.below(index + 1)
    ;[entries[index], entries[other]] = [entries[other]!, entries[index]!]
  }
  return entries
}

const bytesOf = (local: MemoryRegion | Uint8Array) => (local instanceof Uint8Array ? local.slice() : local.copyOut())

for (const [count, most] of [[33, 300_000], [1000, 5000], [100_000, 64]] as const) {
  test(`a batch of ${count} entries moves exactly their bytes, across regions and between regions and views`, async (t) => {
    const random = new Random(`batch ${count}`)
    const room = Math.ceil(count * (most + 3))
    const { target, initiator, peer } = await pair(t)
    const remotes = [0, 1].map((index) => target.alloc(`kv${index}`, room, { access: 'readwrite' }))
    const locals: (MemoryRegion | Uint8Array)[] = [initiator.alloc('a', room), initiator.alloc('b', room), new Uint8Array(room), new Uint8Array(room + 5).subarray(5)]
    const entries = entriesOf(random, count, most, locals)
    const total = entries.reduce((sum, { length }) => sum + length, 0)
    remotes.forEach((remote, index) => fill(remote.buffer, counting(room, index)))
    const expected = locals.map(bytesOf)
    for (const { remote, remoteOffset, local, localOffset, length } of entries) {
      const source = new Uint8Array(remotes[Number(remote[2])]!.buffer, remoteOffset, length)
      expected[locals.indexOf(local)]!.set(source, localOffset)
    }
    t.is(await peer.readBatch(entries), total)
    locals.forEach((local, index) => same(t, bytesOf(local), expected[index]!, `read, end ${index}, MEMLANE_SEED=${seed}`))

    for (const remote of remotes) fill(remote.buffer, new Uint8Array(room).fill(0xee))
    const written = remotes.map(() => new Uint8Array(room).fill(0xee))
    for (const { remote, remoteOffset, local, localOffset, length } of entries) {
      const from = expected[locals.indexOf(local)]!
      written[Number(remote[2])]!.set(from.subarray(localOffset, localOffset + length), remoteOffset)
    }
    const write = peer.writeBatch(entries)
    for (const local of locals) if (local instanceof Uint8Array) local.fill(0)
    t.is(await write, total)
    remotes.forEach((remote, index) => same(t, remote.copyOut(), written[index]!, `write, region ${index}, MEMLANE_SEED=${seed}`))
  })
}

for (const count of [0, 1, 33, 1000, 100_000]) {
  test(`descriptors of ${count} entries read and write what assignments would`, async (t) => {
    const { target, initiator, peer } = await pair(t)
    const size = Math.max(8, count * 8)
    const remote = target.alloc('kv', size, { access: 'readwrite' })
    const local = initiator.alloc('local', size)
    for (const known of [false, true]) {
      fill(local.buffer, new Uint8Array(size))
      const content = counting(size, known ? 1 : 2)
      fill(remote.buffer, content)
      const descriptors = new Float64Array(3 * count)
      const expected = new Uint8Array(size)
      for (let entry = 0; entry < count; entry++) {
        const [localOffset, remoteOffset, length] = [8 * (count - 1 - entry), 8 * entry, entry % 9] as const
        descriptors.set([localOffset, remoteOffset, length], 3 * entry)
        expected.set(content.subarray(remoteOffset, remoteOffset + length), localOffset)
      }
      const given = descriptors.slice()
      const read = peer.readBatch(given, { remote: 'kv', local })
      given.fill(-1)
      const total = expected.length === 0 ? 0 : descriptors.reduce((sum, number, index) => sum + (index % 3 === 2 ? number : 0), 0)
      t.is(await read, total)
      same(t, local.copyOut(), expected)
      fill(remote.buffer, new Uint8Array(size))
      t.is(await peer.writeBatch(descriptors, { remote: 'kv', local }), total)
      const back = new Uint8Array(size)
      for (let entry = 0; entry < count; entry++) back.set(content.subarray(8 * entry, 8 * entry + (entry % 9)), 8 * entry)
      same(t, remote.copyOut(), back)
    }
  })
}

test('a batch is one operation, whatever it has in it', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('kv', 80, { access: 'readwrite' })
  const local = initiator.alloc('local', 80)
  await peer.refresh()
  const before = initiator.stats().operations
  await peer.readBatch(Array.from({ length: 10 }, (_, index) => ({ remote: 'kv', local, localOffset: index * 8, length: 8 })))
  t.deepEqual(initiator.stats().operations, { ...before, reads: before.reads + 1 })
  t.is(await peer.readBatch([]), 0)
  t.is(await peer.writeBatch([{ remote: 'kv', local: new Uint8Array(0) }, { remote: 'kv', local, length: 0 }]), 0)
  t.is(await peer.readBatch([{ remote: 'kv', local: new Uint8Array(0), remoteOffset: 80 }]), 0)
})

test('a length left out is the rest of what is shorter for a read, and of the local end for a write', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const local = initiator.alloc('local', 200)
  for (const known of [false, true]) {
    if (!known) target.alloc('kv', 100, { access: 'readwrite' })
    t.is(await peer.readBatch([{ remote: 'kv', local }, { remote: 'kv', local: new Uint8Array(30) }]), 130)
    t.is(await peer.readBatch([{ remote: 'kv', local, localOffset: 150, remoteOffset: 20 }]), 50)
    t.is(await peer.readBatch([{ remote: 'kv', local: new Uint8Array(30), remoteOffset: 90, localOffset: 1 }]), 10)
    t.is(await peer.writeBatch([{ remote: 'kv', local, localOffset: 190 }, { remote: 'kv', local: new Uint8Array(7) }]), 17)
    t.like(thrown(() => peer.writeBatch([{ remote: 'kv', local }])), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  }
})

test('what is wrong with one entry is refused at the call, with its index, and nothing is sent', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('kv', 100, { access: 'readwrite' })
  const local = initiator.alloc('local', 50)
  const closed = initiator.alloc('closed', 50)
  await closed.close()
  await peer.refresh()
  const before = initiator.stats().operations
  const [view, good] = [new Uint8Array(50), { remote: 'kv', local, length: 1 }]
  const detached = new Uint8Array(8)
  structuredClone(detached, { transfer: [detached.buffer] })
  const wrong: [unknown, string, string][] = [
    [null, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['kv', 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [undefined, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{}, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ remote: 'kv' }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ local }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ remote: '', local }, 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    [{ remote: 7, local }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ remote: 'kv', local: [1] }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, ofset: 1 }, 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    [{ ...good, length: '1' }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, length: -1 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ ...good, length: 0.5 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ ...good, length: 51 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ ...good, localOffset: 50 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ ...good, localOffset: NaN }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ remote: 'kv', local, localOffset: 51 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ ...good, remoteOffset: 100 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ ...good, remoteOffset: 101, length: 0 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ ...good, remoteOffset: 2 ** 53 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ ...good, local: view, localOffset: 50 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ ...good, local: detached }, 'MemlaneError', 'ERR_UNSAFE_MEMORY'],
  ]
  for (const call of [peer.readBatch.bind(peer), peer.writeBatch.bind(peer)]) {
    for (const [entry, name, code] of wrong) {
      for (const index of [0, 2]) {
        const entries = Array.from({ length: 4 }, (_, at) => (at === index ? entry : good)) as Assignment[]
        const error = thrown(() => call(entries))
        t.like(error, { name, code }, error.message)
        t.true(error.message.includes(`assignments[${index}]`), error.message)
      }
    }
    t.like(thrown(() => call([good, { ...good, local: closed }])), { name: 'MemlaneError', code: 'ERR_CLOSED' })
    for (const none of [null, undefined, 1, 'kv', { 0: good }, new Float32Array(3)]) {
      t.like(thrown(() => call(none as never)), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
    }
    for (const options of [{ remote: 'kv' }, { timeoutMS: 1 }, { local }]) {
      t.like(thrown(() => call([good], options as object)), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
    }
    t.like(thrown(() => call([good], { timeoutMs: -1 })), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
    t.like(thrown(() => call([good], { signal: {} as AbortSignal })), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  }
  t.deepEqual(initiator.stats().operations, before)
})

test('what is wrong with one of the descriptors is refused at the call, with its index, and nothing is sent', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('kv', 100, { access: 'readwrite' })
  const local = initiator.alloc('local', 50)
  await peer.refresh()
  const before = initiator.stats().operations
  const wrong = [
    [-1, 0, 1], [0, -1, 1], [0, 0, -1], [0.5, 0, 1], [0, 0.5, 1], [0, 0, 0.5], [NaN, 0, 1], [0, NaN, 1], [0, 0, NaN],
    [50, 0, 1], [0, 100, 1], [0, 0, 51], [51, 0, 0], [0, 101, 0], [Infinity, 0, 1], [0, Infinity, 1], [0, 0, Infinity],
    [2 ** 53, 0, 1], [0, 2 ** 53, 1],
  ]
  const options = { remote: 'kv', local }
  for (const numbers of wrong) {
    for (const index of [0, 2]) {
      const descriptors = new Float64Array(12)
      descriptors.set(numbers, 3 * index)
      const error = thrown(() => peer.readBatch(descriptors, options))
      t.like(error, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }, String(numbers))
      t.true(error.message.includes(`entry ${index} of descriptors`), error.message)
    }
  }
  const one = new Float64Array(3)
  t.like(thrown(() => peer.readBatch(new Float64Array(4), options)), { code: 'ERR_INVALID_ARG_VALUE' })
  t.like(thrown(() => peer.readBatch(one, undefined as never)), { code: 'ERR_INVALID_ARG_TYPE' })
  t.like(thrown(() => peer.readBatch(one, { remote: 'kv' } as never)), { code: 'ERR_INVALID_ARG_TYPE' })
  t.like(thrown(() => peer.readBatch(one, { ...options, local: new Uint8Array(8) } as never)), { code: 'ERR_INVALID_ARG_TYPE' })
  t.like(thrown(() => peer.readBatch(one, { ...options, remote: '' })), { code: 'ERR_INVALID_ARG_VALUE' })
  t.like(thrown(() => peer.readBatch(one, { ...options, length: 1 } as never)), { code: 'ERR_INVALID_ARG_VALUE' })
  t.deepEqual(initiator.stats().operations, before)
})

test('an entry that the peer refuses fails the batch with its index', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('kv', 4096, { access: 'readwrite' })
  target.alloc('sink', 4096, { access: 'write' })
  const local = initiator.alloc('local', 4096)
  for (const index of [0, 17, 999]) {
    const entries = Array.from({ length: 1000 }, (_, at) => ({ remote: at === index ? 'sink' : 'kv', local, length: 4 }))
    const error = await t.throwsAsync(peer.readBatch(entries).wait())
    t.like(error, { name: 'MemlaneError', code: 'ERR_ACCESS', origin: 'remote', operation: 'read', entry: index })
    t.is(await peer.writeBatch(entries), 4000, 'and writes are granted')
    const unknown = entries.map((entry, at) => (at === index ? { ...entry, remote: 'nowhere' } : { ...entry, remote: 'kv' }))
    t.like(await t.throwsAsync(peer.writeBatch(unknown).wait()), { code: 'ERR_REGION_NOT_FOUND', operation: 'write', entry: index })
  }
  const single = await t.throwsAsync(peer.read('sink').wait())
  t.false('entry' in single!, 'no batch, no entry')
})

test.serial('names that the peer had not described are asked for once, all together', async (t) => {
  const { target, peer } = await pair(t)
  const regions = ['a', 'b', 'c'].map((name, index) => {
    const region = target.alloc(name, 8, { access: 'readwrite' })
    fill(region.buffer, new Uint8Array(8).fill(index + 1))
    return region
  })
  let asked = 0
  const { describe } = engine
  engine.describe = (...given) => {
    asked++
    return describe(...given)
  }
  t.teardown(() => {
    engine.describe = describe
  })
  const view = new Uint8Array(6)
  const entries = ['c', 'a', 'b', 'a', 'c', 'b'].map((remote, index) => ({ remote, local: view, localOffset: index, length: 1 }))
  t.is(await peer.readBatch(entries), 6)
  t.deepEqual([...view], [3, 1, 2, 1, 3, 2])
  t.is(asked, 1)
  await peer.readBatch(entries)
  t.is(asked, 1)

  regions.push(target.alloc('d', 8, { access: 'write' }))
  const source = Uint8Array.of(9, 9)
  const write = peer.writeBatch([{ remote: 'd', local: source }, { remote: 'a', local: source, remoteOffset: 1 }])
  source.fill(0)
  t.is(await write, 4)
  t.is(asked, 2)
  t.deepEqual([...regions[3]!.copyOut(0, 2), ...regions[0]!.copyOut(0, 3)], [9, 9, 1, 9, 9], 'what the memory held at the call')
  const late = await t.throwsAsync(peer.readBatch([{ remote: 'd', local: view, length: 0 }, { remote: 'e', local: view }]).wait())
  t.like(late, { code: 'ERR_REGION_NOT_FOUND', entry: 1 })
  target.alloc('f', 8, { access: 'read' })
  const range = peer.readBatch([{ remote: 'a', local: view }, { remote: 'f', local: view, remoteOffset: 6, length: 3 }])
  const error = await t.throwsAsync(range.wait(), { instanceOf: RangeError })
  t.regex(error.message, /assignments\[1\]/)
})

test('a region that was replaced under its name is found again by batches', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const local = initiator.alloc('local', 8)
  const replace = async (region: MemoryRegion | undefined, byte: number) => {
    await region?.close()
    const made = target.alloc('kv', 8, { access: 'readwrite' })
    fill(made.buffer, new Uint8Array(8).fill(byte))
    return made
  }
  let region = await replace(undefined, 1)
  const view = new Uint8Array(4)
  const entries = [{ remote: 'kv', local: view }, { remote: 'kv', local, remoteOffset: 4, length: 4 }]
  await peer.readBatch(entries)
  region = await replace(region, 2)
  t.is(await peer.readBatch(entries), 8)
  t.deepEqual([view[0], local.copyOut()[0]], [2, 2])
  region = await replace(region, 3)
  await peer.readBatch(Float64Array.of(0, 0, 8), { remote: 'kv', local })
  t.is(local.copyOut()[7], 3)
  region = await replace(region, 4)
  await peer.writeBatch([{ remote: 'kv', local }])
  t.is(region.copyOut()[0], 3)
  region = await replace(region, 5)
  t.like(await t.throwsAsync(peer.writeBatch(entries).wait()), { code: 'ERR_REGION_NOT_FOUND', retryable: true, operation: 'write' })
  t.is(await peer.writeBatch(entries), 8)
  t.deepEqual([...region.copyOut()], [2, 2, 2, 2, 3, 3, 3, 3])
})

test('memory that is taken away under a batch fails it with the index, and nothing is copied', async (t) => {
  const { target, peer } = await pair(t)
  fill(target.alloc('kv', 64, { access: 'read' }).buffer, new Uint8Array(64).fill(1))
  await peer.refresh()
  const views = [new Uint8Array(8), new Uint8Array(8), new Uint8Array(8)]
  const read = peer.readBatch(views.map((local) => ({ remote: 'kv', local })))
  structuredClone(views[1]!, { transfer: [views[1]!.buffer] })
  t.like(await t.throwsAsync(read.wait()), { name: 'MemlaneError', code: 'ERR_UNSAFE_MEMORY', entry: 1 })
  t.deepEqual([...views[0]!, ...views[2]!], Array(16).fill(0))
})

test('a silent peer: a batch fails at its deadline, on cancel or by its signal, and its memory is quiet', async (t) => {
  const silent = await Silent.start(t)
  const context = new TcpContext()
  t.teardown(() => context.close())
  const initiator = await TcpEndpoint.listen({ context })
  const peer = await initiator.connect(silent.info({ kv: { addr: 4096, length: 8000 } }))
  const local = initiator.alloc('local', 8000)
  const view = new Uint8Array(8000)
  const entries = Array.from({ length: 1000 }, (_, index) => ({
    remote: 'kv',
    remoteOffset: index * 8,
    local: index % 2 === 0 ? local : view,
    localOffset: index * 8,
    length: 8,
  }))
  const late = await t.throwsAsync(peer.readBatch(entries, { timeoutMs: 20 }).wait())
  t.like(late, { code: 'ERR_TIMEOUT', operation: 'read', retryable: true })
  const given = peer.readBatch(entries)
  given.cancel()
  t.like(await t.throwsAsync(given.wait()), { code: 'ERR_ABORTED', operation: 'read' })
  const controller = new AbortController()
  const followed = peer.readBatch(Float64Array.of(0, 0, 8000), { remote: 'kv', local, signal: controller.signal })
  controller.abort('enough')
  t.like(await t.throwsAsync(followed.wait()), { code: 'ERR_ABORTED', cause: 'enough' })
  t.like(await t.throwsAsync(peer.readBatch(entries, { signal: AbortSignal.abort('before') }).wait()), { cause: 'before' })
  t.true([...view, ...local.copyOut()].every((byte) => byte === 0))
  t.like(thrown(() => peer.readBatch([{ remote: 'kv', local }, { remote: 'nowhere', local }])), {
    code: 'ERR_REGION_NOT_FOUND',
    entry: 1,
  }, 'this wire cannot ask')
  await peer.close()
  t.like(thrown(() => peer.readBatch(entries)), { code: 'ERR_CLOSED' })
})
