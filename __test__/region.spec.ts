import test from 'ava'
import type { MemlaneError } from 'memlane'
import { counting, endpoint, fill, pair, same, thrown } from './support/pair'

test('a region is zeroed, has the length that was asked for, and one buffer', async (t) => {
  const owner = await endpoint(t)
  for (const length of [1, 4095, 4096, 65_537, 1 << 20]) {
    const region = owner.alloc(`r${length}`, length)
    t.is(region.length, length)
    t.is(region.buffer.byteLength, length)
    t.is(region.buffer, region.buffer)
    t.true(new Uint8Array(region.buffer).every((byte) => byte === 0))
  }
})

test('a region says what it is, and its info is its entry in the endpoint info', async (t) => {
  const owner = await endpoint(t)
  const region = owner.alloc('weights', 10n, { access: 'read' })
  t.like(region, { name: 'weights', length: 10, access: 'read', closed: false })
  t.true(Number.isSafeInteger(region.address) && region.address > 0)
  t.deepEqual(region.info(), { addr: region.address, length: 10, access: 'read' })
  t.deepEqual(owner.endpointInfo().mr_info, { weights: region.info() })
  t.is(owner.alloc('scratch', 1).access, 'none', 'nothing is reachable unless it was asked for')
  t.deepEqual(Object.keys(owner.endpointInfo().mr_info), ['weights'])
})

test('addresses are random, far from each other, and never used again', async (t) => {
  const owner = await endpoint(t)
  const seen = new Set<number>()
  for (let round = 0; round < 50; round++) {
    const region = owner.alloc('again', 4096, { access: 'read' })
    t.is(region.address % 4096, 0)
    t.false(seen.has(region.address))
    seen.add(region.address)
    await region.close()
  }
  const sorted = [...seen].sort((a, b) => a - b)
  t.true(sorted.every((address, index) => index === 0 || address - (sorted[index - 1] ?? 0) > 4096))
})

test('an open region keeps its name to itself', async (t) => {
  const owner = await endpoint(t)
  const first = owner.alloc('kv', 8)
  t.like(thrown(() => owner.alloc('kv', 8)), { name: 'MemlaneError', code: 'ERR_REGION_EXISTS', origin: 'local' })
  t.true((await endpoint(t)).alloc('kv', 8) instanceof Object, 'another endpoint has names of its own')
  await first.close()
  t.is(owner.alloc('kv', 8).name, 'kv')
})

test('memory of JavaScript is refused as a region, and the error names the way by alloc', async (t) => {
  const owner = await endpoint(t)
  for (const bytes of [new Float32Array(4), new ArrayBuffer(8), new SharedArrayBuffer(8), Buffer.from('x')]) {
    const error = thrown(() => owner.alloc('x', bytes as never))
    t.like(error, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
    t.regex(error.message, /alloc\(name, length\)/)
  }
  t.is(owner.alloc('x', 8).length, 8, 'and the name is still free')
})

test('more memory than the system has is an error, not the end', async (t) => {
  const owner = await endpoint(t)
  for (const length of [2 ** 46, Number.MAX_SAFE_INTEGER]) {
    t.like(thrown(() => owner.alloc('huge', length)), { name: 'MemlaneError', code: 'ERR_MEMORY' }, String(length))
  }
  t.is(owner.alloc('huge', 8).length, 8, 'and the name is free')
})

test('copyOut is a private copy: neither side sees what the other changes afterwards', async (t) => {
  const owner = await endpoint(t)
  const region = owner.alloc('x', 100)
  fill(region.buffer, counting(100))
  const copy = region.copyOut(10, 20)
  t.deepEqual(copy, counting(20, 10))
  new Uint8Array(region.buffer).fill(0)
  t.deepEqual(copy, counting(20, 10))
  copy.fill(1)
  t.true(region.copyOut().every((byte) => byte === 0))
  t.is(region.copyOut(100).byteLength, 0)
  t.is(region.copyOut(0, 0).byteLength, 0)
  t.is(region.copyOut(90n, 10n).byteLength, 10)
  t.is(region.copyOut(40).byteLength, 60)
})

test('text decodes UTF-8 from a copy, and what is no UTF-8 becomes U+FFFD', async (t) => {
  const owner = await endpoint(t)
  const region = owner.alloc('x', 16)
  fill(region.buffer, Buffer.from('\u{feff}grün 🦀'))
  t.is(region.text(), '\u{feff}grün 🦀\0\0\0')
  t.is(region.text(3, 5), 'grün')
  t.is(region.text(0, 0), '')
  fill(region.buffer, Uint8Array.of(0x41, 0xff, 0xfe, 0xc3))
  t.is(region.text(0, 4), 'A\u{fffd}\u{fffd}\u{fffd}')
})

test('text and copies of bytes that a peer writes at full speed are whole and do not end the process', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const length = 64 << 10
  const region = target.alloc('live', length, { access: 'write' })
  // Sizes of the decoded text differ at every byte: what makes a decoder that measures first and converts then overrun.
  const contents = ['a', 'é', '重', '🦀'].map((character) => {
    const local = initiator.alloc(character, length)
    fill(local.buffer, Buffer.from(character.repeat(length)).subarray(0, length))
    return local
  })
  await peer.refresh()
  let decoding = true
  const writing = async (index: number) => {
    while (decoding) {
      const local = contents[index++ % contents.length]
      if (local !== undefined) await peer.write('live', local)
    }
  }
  const writers = [0, 1, 2, 3].map(writing)
  for (let round = 0; round < 200; round++) {
    const decoded = region.text()
    t.true(decoded.length > 0 && decoded.length <= length)
    t.is(region.copyOut().byteLength, length)
    await new Promise(setImmediate)
  }
  decoding = false
  await Promise.all(writers)
})

test('a closed region is reached by nobody, and its holder keeps what it saw', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const region = target.alloc('x', 8, { access: 'readwrite' })
  const view = new Uint8Array(region.buffer).fill(5)
  const local = initiator.alloc('local', 8)
  await peer.read('x', { into: local })
  const closing = region.close()
  t.true(region.closed, 'from the call on')
  t.is(region.close(), closing, 'closing twice is closing once')
  await closing
  t.like(await t.throwsAsync(peer.write('x', local).wait()), { code: 'ERR_REGION_NOT_FOUND' })
  t.true(view.every((byte) => byte === 5))
  for (const call of [() => region.buffer, () => region.info(), () => region.copyOut(), () => region.text()]) {
    t.like(thrown(call), { name: 'MemlaneError', code: 'ERR_CLOSED' })
  }
  t.like(region, { name: 'x', length: 8, access: 'readwrite' })
  t.deepEqual(target.endpointInfo().mr_info, {})
})

test('closing a region lets running operations end before the fence holds', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const size = 32 << 20
  const region = target.alloc('x', size, { access: 'write' })
  const view = new Uint8Array(region.buffer)
  const local = initiator.alloc('local', size)
  new Uint8Array(local.buffer).fill(1)
  await peer.refresh()
  const write = peer.write('x', local).wait()
  write.catch(() => undefined)
  await region.close()
  const after = view.slice()
  await write.then(
    (bytes) => t.is(bytes, size),
    (error: MemlaneError) => t.true(['ERR_REGION_NOT_FOUND', 'ERR_PEER_CLOSED'].includes(error.code), error.message)
  )
  same(t, view, after, 'bytes after close has resolved')
})

test('using a region of another endpoint as local memory works', async (t) => {
  const { target, peer } = await pair(t)
  const other = await endpoint(t)
  fill(target.alloc('x', 4, { access: 'read' }).buffer, Uint8Array.of(1, 2, 3, 4))
  const scratch = other.alloc('scratch', 4)
  t.is(await peer.read('x', { into: scratch }), 4)
  t.deepEqual([...scratch.copyOut()], [1, 2, 3, 4])
})

test('disposing of a region closes it', async (t) => {
  const owner = await endpoint(t)
  const region = owner.alloc('x', 8)
  await region[Symbol.asyncDispose]()
  t.true(region.closed)
})
