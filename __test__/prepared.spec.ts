import test from 'ava'
import { type MemoryRegion, PreparedBatch } from 'memlane'
import { Random, seed } from './support/raw-random'
import { counting, fill, pair, same, thrown } from './support/pair'
import { Silent } from './support/pair-silent'

test('a prepared batch does each time what the batch would, for assignments and for descriptors', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const size = 1 << 16
  const [a, b] = [target.alloc('a', size, { access: 'readwrite' }), target.alloc('b', size, { access: 'readwrite' })]
  const local = initiator.alloc('local', 2 * size)
  await peer.refresh()
  const random = new Random('prepared')
  const entries = Array.from({ length: 1000 }, (_, index) => ({
    remote: random.pick(['a', 'b']),
    remoteOffset: random.below(size - 64),
    local,
    localOffset: index * 64,
    length: random.below(65),
  }))
  const total = entries.reduce((sum, { length }) => sum + length, 0)
  const read = peer.prepare('read', entries)
  t.true(read instanceof PreparedBatch)
  t.like(read, { operation: 'read', entries: 1000 })
  for (let round = 0; round < 3; round++) {
    fill(a.buffer, counting(size, round))
    fill(b.buffer, counting(size, round + 100))
    fill(local.buffer, new Uint8Array(2 * size))
    const expected = new Uint8Array(2 * size)
    for (const { remote, remoteOffset, localOffset, length } of entries) {
      expected.set((remote === 'a' ? a : b).copyOut(remoteOffset, length), localOffset)
    }
    t.is(await read.start(), total)
    same(t, local.copyOut(), expected, `round ${round}, MEMLANE_SEED=${seed}`)
  }
  const descriptors = Float64Array.of(0, 8, 16, 16, 0, 8)
  const write = peer.prepare('write', descriptors, { remote: 'a', local })
  descriptors.fill(-1)
  t.like(write, { operation: 'write', entries: 2 })
  fill(local.buffer, counting(2 * size, 5))
  t.is(await write.start({ timeoutMs: 0 }), 24)
  same(t, a.copyOut(0, 24), Buffer.concat([counting(24, 5).subarray(16), counting(16, 5)]))
})

test('starts that overlap are operations of their own', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const content = counting(1 << 20)
  fill(target.alloc('kv', 1 << 20, { access: 'read' }).buffer, content)
  const local = initiator.alloc('local', 1 << 20)
  const descriptors = new Float64Array(3 * 256)
  for (let entry = 0; entry < 256; entry++) descriptors.set([entry * 4096, entry * 4096, 4096], 3 * entry)
  const batch = peer.prepare('read', descriptors, { remote: 'kv', local })
  const starts = Array.from({ length: 20 }, () => batch.start())
  starts[7]!.cancel()
  const outcomes = await Promise.all(starts.map((start) => start.wait().catch((error: { code: string }) => error.code)))
  // The first starts have a name to ask for; the one that was given up may have been over.
  t.true(outcomes.every((outcome, index) => outcome === 1 << 20 || (index === 7 && outcome === 'ERR_ABORTED')), String(outcomes))
  same(t, local.copyOut(), content)
  t.is(await batch.start(), 1 << 20)
})

test('giving up one start leaves the others on their way', async (t) => {
  const silent = await Silent.start(t)
  const { initiator } = await pair(t)
  const peer = await initiator.connect(silent.info({ kv: { addr: 4096, length: 8 } }))
  const local = initiator.alloc('local', 8)
  const batch = peer.prepare('read', [{ remote: 'kv', local, length: 4 }, { remote: 'kv', local, localOffset: 4, length: 4 }])
  const [first, second, third] = [batch.start(), batch.start({ timeoutMs: 20 }), batch.start()]
  await silent.heard(3 * 2 * 17)
  first.cancel()
  t.like(await t.throwsAsync(first.wait()), { code: 'ERR_ABORTED', operation: 'read' })
  t.like(await t.throwsAsync(second.wait()), { code: 'ERR_TIMEOUT', operation: 'read' })
  const reason = new Error('before')
  t.is((await t.throwsAsync(batch.start({ signal: AbortSignal.abort(reason) }).wait()))?.cause, reason)
  silent.say(counting(24))
  t.is(await third, 8)
  same(t, local.copyOut(), counting(24).subarray(16))
})

test('a region of the peer that was made anew is found by the next start', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const local = initiator.alloc('local', 16)
  const replace = async (region: MemoryRegion | undefined, byte: number, length = 8) => {
    await region?.close()
    const made = target.alloc('kv', length, { access: 'readwrite' })
    fill(made.buffer, new Uint8Array(length).fill(byte))
    return made
  }
  const batch = peer.prepare('read', [{ remote: 'kv', local, remoteOffset: 4 }, { remote: 'kv', local, localOffset: 8, length: 8 }])
  let region = await replace(undefined, 1)
  t.is(await batch.start(), 12, 'also one that was not there when it was prepared')
  region = await replace(region, 2)
  t.is(await batch.start(), 12, 'because the engine was told that it is gone')
  t.is(local.copyOut()[0], 2)
  region = await replace(region, 3, 10)
  await peer.refresh()
  t.is(await batch.start(), 14, 'because the peer described itself; a length left out is that of now')
  t.is(local.copyOut()[0], 3)
  region = await replace(region, 4, 6)
  await peer.refresh()
  const error = thrown(() => batch.start())
  t.like(error, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  t.regex(error.message, /assignments\[1\]/)
  region = await replace(region, 5)
  await peer.refresh()
  t.is(await batch.start(), 12, 'and a start that failed changes nothing')
  t.is(local.copyOut()[0], 5)
  await region.close()
  t.like(await t.throwsAsync(batch.start().wait()), { code: 'ERR_REGION_NOT_FOUND', operation: 'read' })
})

test('a list of assignments takes no options beside it, and the error says so', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('kv', 8, { access: 'read' })
  await peer.refresh()
  const local = initiator.alloc('local', 8)
  const prepare = peer.prepare.bind(peer) as (...args: unknown[]) => unknown
  const error = thrown(() => prepare('read', [{ remote: 'kv', local }], { remote: 'kv', local }))
  t.like(error, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: 'there is no option "remote" here; it takes no options' })
  t.is(await peer.prepare('read', [{ remote: 'kv', local }]).start(), 8)
})

test('a region or a peer that is closed here is told at the start', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('kv', 8, { access: 'readwrite' })
  await peer.refresh()
  const [local, other] = [initiator.alloc('local', 8), initiator.alloc('other', 8)]
  const batch = peer.prepare('read', [{ remote: 'kv', local }, { remote: 'kv', local: other }])
  const rest = peer.prepare('write', [{ remote: 'kv', local }])
  t.is(await batch.start(), 16)
  await other.close()
  t.like(thrown(() => batch.start()), { name: 'MemlaneError', code: 'ERR_CLOSED', message: 'this region "other" is closed' })
  t.is(await rest.start(), 8)
  await peer.close()
  t.like(thrown(() => rest.start()), { name: 'MemlaneError', code: 'ERR_CLOSED', message: 'this peer is closed' })
  t.like(thrown(() => peer.prepare('read', [])), { code: 'ERR_CLOSED' })
})

test('what makes no sense is refused when it is prepared, with its index', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('kv', 8, { access: 'readwrite' })
  await peer.refresh()
  const local = initiator.alloc('local', 8)
  const good = { remote: 'kv', local }
  const wrong: [() => unknown, string, string, RegExp][] = [
    [() => peer.prepare('send' as 'read', [good]), 'TypeError', 'ERR_INVALID_ARG_VALUE', /operation/],
    [() => peer.prepare('read', {} as (typeof good)[]), 'TypeError', 'ERR_INVALID_ARG_TYPE', /assignments/],
    [() => peer.prepare('read', [good, { ...good, length: 9 }]), 'RangeError', 'ERR_OUT_OF_RANGE', /assignments\[1\]\.local/],
    [() => peer.prepare('read', [good, { ...good, remoteOffset: 9 }]), 'RangeError', 'ERR_OUT_OF_RANGE', /region of assignments\[1\]/],
    [() => peer.prepare('read', [good, { ...good, local: new Uint8Array(8) as never }]), 'TypeError', 'ERR_INVALID_ARG_VALUE', /\[1\]\.local/],
    [() => (peer.prepare as (...given: unknown[]) => unknown).call(peer, 'read', [good], { timeoutMs: 1 }), 'TypeError', 'ERR_INVALID_ARG_VALUE', /timeoutMs/],
    [() => peer.prepare('write', Float64Array.of(0, 1, 8), good), 'RangeError', 'ERR_OUT_OF_RANGE', /entry 0 of descriptors/],
    [() => peer.prepare('write', new Float64Array(3), { remote: 'kv' } as never), 'TypeError', 'ERR_INVALID_ARG_TYPE', /local/],
  ]
  for (const [call, name, code, message] of wrong) {
    const error = thrown(call)
    t.like(error, { name, code }, error.message)
    t.regex(error.message, message)
  }
  const batch = peer.prepare('read', [good])
  t.like(thrown(() => batch.start({ timeoutMs: -1 })), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  t.like(thrown(() => batch.start({ remote: 'kv' } as object)), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  const { memlane: _, ...foreign } = target.endpointInfo()
  const legacy = await initiator.connect(foreign)
  t.like(thrown(() => legacy.prepare('read', [good, { ...good, remote: 'later' }])), { code: 'ERR_REGION_NOT_FOUND', entry: 1 })
})
