import test from 'ava'
import { DTYPES, type MemlaneError } from 'memlane'
import { file } from './support/files'
import { counting, pair, same, thrown } from './support/pair'

const bytesOf = ({ data }: { data: ArrayBufferView }): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

test('rows of a tensor of every type are those bytes of it', async (t) => {
  const { target, peer } = await pair(t)
  for (const dtype of DTYPES) {
    const region = target.alloc(dtype, { dtype, shape: [7, 3, 2], access: 'read' })
    const bytes = counting(region.length)
    new Uint8Array(region.buffer).set(bytes)
    const row = region.length / 7
    for (const [from, to] of [[0, 7], [0, 1], [6, 7], [2, 5], [3, 3], [7, 7]] as const) {
      const tensor = await peer.readTensor(dtype, { rows: [from, to] })
      t.is(tensor.dtype, dtype)
      t.deepEqual(tensor.shape, [to - from, 3, 2])
      t.is(tensor.data.constructor, region.typed().constructor)
      same(t, bytesOf(tensor), bytes.subarray(from * row, to * row), `rows [${from}, ${to}] of ${dtype}`)
    }
  }
})

test('of the other rows nothing is read', async (t) => {
  const { target, peer } = await pair(t)
  const region = target.alloc('x', { dtype: 'float32', shape: [1000, 256], access: 'read' })
  await peer.readTensor('x', { rows: [10, 12] })
  t.is(region.stats().bytes.served, 2 * 256 * 4)
  await peer.readTensor('x', { rows: [999n, 1000n] })
  t.is(region.stats().bytes.served, 3 * 256 * 4)
})

test('rows are read into a region or an array of their shape', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.publish('x', { data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), shape: [4, 2] })
  const region = initiator.alloc('local', { dtype: 'float32', shape: [2, 2] })
  const read = await peer.readTensor('x', { rows: [1, 3], into: region })
  t.deepEqual(read, { dtype: 'float32', shape: [2, 2], data: Float32Array.of(3, 4, 5, 6) })
  t.is(read.data.buffer, region.buffer, 'no copy')
  const array = new Float32Array(6)
  const part = array.subarray(1, 5)
  t.is((await peer.readTensor('x', { rows: [2, 4], into: part })).data, part)
  t.deepEqual([...array], [0, 5, 6, 7, 8, 0])
  const clamped = new Uint8ClampedArray(2)
  target.publish('pixels', { data: Uint8Array.of(1, 2, 253, 254), shape: [2, 2] })
  await peer.readTensor('pixels', { rows: [1, 2], into: clamped })
  t.deepEqual([...clamped], [253, 254])
  const none = new Float32Array(0)
  t.deepEqual(await peer.readTensor('x', { rows: [4, 4], into: none }), { dtype: 'float32', shape: [0, 2], data: none })
})

test('an into for other rows is refused, and the error shows both', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('x', { dtype: 'float32', shape: [4, 2], access: 'read' })
  const cases: [unknown, RegExp][] = [
    [initiator.alloc('whole', { dtype: 'float32', shape: [4, 2] }), /rows \[1, 3\] of the region "x" .* are float32 \[2, 2\], 16 bytes; into is a region of float32 \[4, 2\], 32 bytes/],
    [initiator.alloc('flat', { dtype: 'float32', shape: [4] }), /float32 \[2, 2\], 16 bytes; into is a region of float32 \[4\], 16 bytes/],
    [initiator.alloc('ints', { dtype: 'int32', shape: [2, 2] }), /into is a region of int32 \[2, 2\]/],
    [new Float32Array(8), /float32 \[2, 2\], 16 bytes; into is Float32Array \[8\], 32 bytes/],
    [new Float32Array(2), /into is Float32Array \[2\], 8 bytes/],
  ]
  for (const [into, message] of cases) {
    const error = (await t.throwsAsync(async () => peer.readTensor('x', { rows: [1, 3], into: into as Float32Array }).wait())) as MemlaneError
    t.like(error, { name: 'MemlaneError', code: 'ERR_TENSOR', origin: 'local', retryable: false })
    t.regex(error.message, message)
  }
})

test('rows that the tensor does not have are refused, and the error shows them and its shape', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('x', { dtype: 'int8', shape: [4, 2], access: 'read' })
  target.alloc('one', { dtype: 'int8', shape: [], access: 'read' })
  const leaves = /rows \[2, 5\] leave the region "x" of .*, which is int8 \[4, 2\]/
  // Not known yet, then known: the error comes late, then at the call.
  t.like(await t.throwsAsync(peer.readTensor('x', { rows: [2, 5] }).wait(), { instanceOf: RangeError, message: leaves }), { code: 'ERR_OUT_OF_RANGE' })
  const early = thrown(() => peer.readTensor('x', { rows: [2, 5] }))
  t.regex(early.message, leaves)
  t.is(early.constructor, RangeError)
  t.throws(() => peer.readTensor('x', { rows: [5, 5] }), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  const scalar = thrown(() => peer.readTensor('one', { rows: [0, 1] }))
  t.like(scalar, { code: 'ERR_TENSOR' })
  t.regex(scalar.message, /"one" of .* is int8 \[\], a single element, which has no rows/)
  const read = peer.readTensor.bind(peer) as (...given: unknown[]) => unknown
  for (const rows of [[3, 2], [-1, 2], [0, 0.5], [0, 2 ** 53], [Number.NaN, 1]]) {
    t.throws(() => read('x', { rows }), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }, JSON.stringify(rows))
  }
  for (const rows of [1, [], [1], [1, 2, 3], ['0', 1], [0, null], { from: 0, to: 1 }, null]) {
    t.throws(() => read('x', { rows }), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }, JSON.stringify(rows))
  }
})

test('rows are those of the tensor as it is now, not as it was described', async (t) => {
  const { target, peer } = await pair(t)
  const first = target.publish('x', { data: new Int8Array(8).fill(1), shape: [4, 2] })
  t.deepEqual((await peer.readTensor('x', { rows: [1, 3] })).data, new Int8Array(4).fill(1))
  await first.close()
  target.publish('x', { data: new Int16Array(9).map((_, index) => index), shape: [3, 3] })
  t.deepEqual(await peer.readTensor('x', { rows: [1, 3] }), { dtype: 'int16', shape: [2, 3], data: Int16Array.of(3, 4, 5, 6, 7, 8) })
})

test('rows of a tensor in a file are read where they lie in it', async (t) => {
  const { target, peer } = await pair(t)
  const path = file(t, new Uint8Array(new Float64Array(40).map((_, index) => index).buffer))
  await target.mapFile('x', path, { dtype: 'float64', shape: [10, 3], offset: 80 })
  t.deepEqual((await peer.readTensor('x', { rows: [9, 10] })).data, Float64Array.of(37, 38, 39))
})
