import { on, once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { DTYPES, type DType, type MemlaneError, type Publishable } from 'memlane'
import { endpoint, pair, thrown, url } from './support/pair'

const Half = (globalThis as { Float16Array?: new (values: number[]) => Publishable }).Float16Array

/** What `new ort.Tensor(type, data, dims)` is, as far as memlane looks at it: a class with getters. */
class OrtLike {
  readonly type: string
  readonly dims: readonly number[]
  readonly location: string
  readonly size = 0
  readonly #data: unknown

  constructor(type: string, data: unknown, dims: readonly number[], location = 'cpu') {
    this.type = type
    this.dims = dims
    this.location = location
    this.#data = data
  }

  get data(): never {
    if (!this.location.startsWith('cpu')) throw new Error('The data is not on CPU.')
    return this.#data as never
  }
}

test('an array is published by what its class says, as one dimension, for peers to read', async (t) => {
  const { target, peer } = await pair(t)
  const cases: [Publishable, DType][] = [
    [Float64Array.of(1.5, -2), 'float64'],
    [Float32Array.of(1.5, -2, 3), 'float32'],
    [BigInt64Array.of(-1n), 'int64'],
    [Int32Array.of(-1, 2), 'int32'],
    [Int16Array.of(-1, 2), 'int16'],
    [Int8Array.of(-1, 2), 'int8'],
    [BigUint64Array.of(1n), 'uint64'],
    [Uint32Array.of(1, 2), 'uint32'],
    [Uint16Array.of(1, 2), 'uint16'],
    [Uint8Array.of(1, 2), 'uint8'],
    [Buffer.from('bytes'), 'uint8'],
    [Uint8ClampedArray.of(300, 2), 'uint8'],
    ...(Half === undefined ? [] : ([[new Half([0.5, 2]), 'float16']] as [Publishable, DType][])),
  ]
  for (const [index, [array, dtype]] of cases.entries()) {
    const given = array as Float32Array
    const region = target.publish(`x${index}`, array)
    t.like(region, { dtype, shape: [given.length], access: 'read', length: given.byteLength })
    const { data, ...kind } = await peer.readTensor(`x${index}`)
    t.deepEqual(kind, { dtype, shape: [given.length] })
    t.deepEqual([...(data as Float32Array)], [...given])
  }
  t.like(await t.throwsAsync(peer.write('x0', new Uint8Array(1)).wait()), { code: 'ERR_ACCESS' })
})

test('what is published is a copy: the array is the caller’s again', async (t) => {
  const { target, peer } = await pair(t)
  const memory = new Float32Array(8).map((_, index) => index)
  const region = target.publish('part', memory.subarray(2, 5))
  memory.fill(-1)
  t.deepEqual((await peer.readTensor('part')).data, Float32Array.of(2, 3, 4))
  t.deepEqual(region.typed(), Float32Array.of(2, 3, 4))
  new Float32Array(region.buffer)[0] = 7
  t.deepEqual((await peer.readTensor('part')).data, Float32Array.of(7, 3, 4), 'and the region is live')
  const shared = new Float32Array(new SharedArrayBuffer(16), 4, 2).fill(5)
  target.publish('shared', shared)
  shared.fill(6)
  t.deepEqual((await peer.readTensor('shared')).data, Float32Array.of(5, 5), 'shared memory is copied as any other')
})

test('a shape and a type are taken from whichever names a tensor has for them', async (t) => {
  const { target, peer } = await pair(t)
  const data = Float32Array.of(1, 2, 3, 4, 5, 6)
  const kind = { dtype: 'float32', shape: [2, 3] }
  const sources: Publishable[] = [
    { data, dims: [2, 3] },
    { data, shape: [2, 3n] },
    { data, shape: [2, 3], dtype: 'float32' },
    { data, dims: [2, 3], type: 'float32' },
    new OrtLike('float32', data, [2, 3]),
    new OrtLike('float32', data, [2, 3], 'cpu-pinned'),
    Object.assign(Object.create(null) as object, { data, dims: [2, 3] }),
  ]
  for (const [index, source] of sources.entries()) {
    target.publish(`x${index}`, source)
    t.deepEqual(await peer.readTensor(`x${index}`), { ...kind, data } as never)
  }
  target.publish('again', await peer.readTensor('x0'))
  t.deepEqual(await peer.readTensor('again'), { ...kind, data } as never, 'what was read is published as it is')
  t.deepEqual(target.publish('scalar', { data: Int8Array.of(5), shape: [] }).shape, [])
})

test('bits are published as the type that they are of', async (t) => {
  const { target, peer } = await pair(t)
  const bits = Uint16Array.of(0x3f80, 0x4000, 0x4040, 0x4080)
  for (const dtype of DTYPES) {
    const { BYTES_PER_ELEMENT: size } = target.alloc(`size of ${dtype}`, { dtype, shape: [1] }).typed() as Uint8Array
    const isBits = size === 1 ? dtype !== 'int8' : dtype.includes('float16')
    if (!isBits) continue
    const data = size === 1 ? new Uint8Array(bits.buffer) : bits
    const region = target.publish(dtype, { data, dtype })
    t.like(region, { dtype, shape: [data.length], length: 8 })
    t.deepEqual(await peer.read(dtype), new Uint8Array(bits.buffer))
  }
  t.deepEqual((await peer.readTensor('bfloat16')).data, bits)
  const complex = target.publish('complex', { data: Float32Array.of(1, 2, 3, 4, 5, 6), dtype: 'complex64' })
  t.deepEqual(complex.shape, [3], 'two numbers an element')
  t.deepEqual((await peer.readTensor('complex', { rows: [1, 2] })).data, Float32Array.of(3, 4))
})

test('elements that do not make the tensor are refused, and the error shows both', async (t) => {
  const owner = await endpoint(t)
  const cases: [Publishable, RegExp][] = [
    [{ data: new Float32Array(5), dims: [2, 3] }, /Float32Array \[5\], 20 bytes; the tensor is float32 \[2, 3\], 24 bytes/],
    [{ data: new Float32Array(7), shape: [2, 3] }, /Float32Array \[7\], 28 bytes; the tensor is float32 \[2, 3\], 24 bytes/],
    [{ data: new Float32Array(2), shape: [] }, /Float32Array \[2\], 8 bytes; the tensor is float32 \[\], 4 bytes/],
    [{ data: new Float32Array(3), dtype: 'complex64' }, /Float32Array \[3\], 12 bytes; the tensor is complex64 \[1\], 8 bytes/],
    [new OrtLike('int64', new BigInt64Array(3), [4]), /BigInt64Array \[3\], 24 bytes; the tensor is int64 \[4\], 32 bytes/],
    [{ data: new Int32Array(2), dtype: 'float32' }, /data is Int32Array, which has no elements of float32/],
    [{ data: new Uint8Array(8), dtype: 'float32', shape: [2] }, /data is Uint8Array, which has no elements of float32/],
    [new OrtLike('bool', new Int8Array(2), [2]), /data is Int8Array, which has no elements of bool/],
    [{ data: new Uint8Array(2), dtype: 'float' as DType }, /dtype must be one of float64, .*; got "float"/],
  ]
  for (const [source, message] of cases) {
    const error = thrown(() => owner.publish('x', source))
    t.is(error.constructor, TypeError)
    t.is(error.code, 'ERR_INVALID_ARG_VALUE')
    t.regex(error.message, message)
  }
  t.deepEqual(owner.endpointInfo().mr_info, {}, 'nothing was made')
})

test('a tensor that has no elements in this process’s memory is refused with what to do', async (t) => {
  const owner = await endpoint(t)
  const cases: [unknown, RegExp][] = [
    [new OrtLike('float32', undefined, [2], 'gpu-buffer'), /its location is "gpu-buffer": fetch it first, .*await tensor\.getData\(\)/],
    [new OrtLike('float32', undefined, [2], 'none'), /disposed of/],
    [new OrtLike('string', ['a', 'b'], [2]), /strings.*UTF-8/],
    [new OrtLike('int4', new Int8Array(1), [2]), /int4 have less than a byte/],
    [new OrtLike('uint4', new Uint8Array(1), [2]), /uint4 have less than a byte/],
    [{ data: new Float32Array(1), dims: [1], shape: [1] }, /shape and dims are the same/],
    [{ data: new Float32Array(1), dtype: 'float32', type: 'float32' }, /dtype and type are the same/],
    [{ data: new Float32Array(1), shpae: [1] }, /no option "shpae"/],
    [owner.alloc('region', 4), /"region" needs no copy/],
  ]
  for (const [source, message] of cases) {
    const error = thrown(() => owner.publish('x', source as Publishable))
    t.is(error.code, 'ERR_INVALID_ARG_VALUE')
    t.regex(error.message, message)
  }
  for (const source of [undefined, null, 1, 'x', new ArrayBuffer(4), new DataView(new ArrayBuffer(4)), [1, 2], { dims: [1] }, { data: [1] }, { data: new ArrayBuffer(4) }]) {
    t.throws(() => owner.publish('x', source as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
  }
  for (const source of [new Float32Array(0), { data: new Float32Array(0), shape: [0, 3] }]) {
    t.throws(() => owner.publish('x', source), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE', message: /has no element/ })
  }
  const gone = new Float32Array(4)
  structuredClone(gone, { transfer: [gone.buffer] })
  t.like(thrown(() => owner.publish('x', gone)), { code: 'ERR_UNSAFE_MEMORY' })
})

test('a hole in a shape is named', async (t) => {
  const owner = await endpoint(t)
  const shape: number[] = []
  shape[1] = 4
  const calls = [() => owner.publish('x', { data: new Uint8Array(4), shape }), () => owner.alloc('x', { dtype: 'uint8', shape })]
  for (const call of calls) {
    t.throws(call, { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE', message: /shape\[0\]/ })
  }
})

test('an array is as long as it is, whatever properties it was given', async (t) => {
  const { target, peer } = await pair(t)
  for (const property of ['byteLength', 'length', 'byteOffset', 'buffer', 'constructor']) {
    const array = Uint8Array.of(1, 2, 3)
    Object.defineProperty(array, property, { value: property === 'buffer' ? new ArrayBuffer(100) : 100 })
    t.is(target.publish(property, array).length, 3, property)
    t.deepEqual((await peer.readTensor(property)).data, Uint8Array.of(1, 2, 3), property)
  }
  let asked = 0
  const second = Uint8Array.of(1, 2, 3)
  Object.defineProperty(second, 'byteLength', { get: () => (asked++ === 0 ? 3 : 100) })
  t.is(target.publish('second', second).length, 3)
})

test('a shape is its elements by index, whatever its iterator gives', async (t) => {
  const { target, initiator } = await pair(t)
  const shape = [2, 3]
  shape[Symbol.iterator] = () => Array.from({ length: 100 }, () => 1).values()
  t.deepEqual(target.publish('x', { data: new Uint8Array(6), shape }).shape, [2, 3])
  t.deepEqual(target.alloc('y', { dtype: 'uint8', shape }).shape, [2, 3])
  let reads = 0
  const grows = new Proxy([6], { get: (array, key) => (key === 'length' ? (reads++ === 0 ? 1 : 100) : Reflect.get(array, key)) as unknown })
  t.deepEqual(target.publish('z', { data: new Uint8Array(6), shape: grows }).shape, [6])
  t.deepEqual([...(await initiator.connect(url(target))).regions.keys()].sort(), ['x', 'z'], 'peers can read its info')
})

test('an array that is taken away while its options or its shape are read is refused', async (t) => {
  const owner = await endpoint(t)
  const cases: ((array: Uint8Array, take: () => void) => unknown)[] = [
    (array, take) =>
      owner.publish('x', array, {
        get access() {
          take()
          return 'read' as const
        },
      }),
    (array, take) => {
      const shape = Object.defineProperty([0], 0, {
        get() {
          take()
          return 4
        },
      })
      return owner.publish('x', { data: array, shape })
    },
  ]
  for (const publish of cases) {
    const array = new Uint8Array(4).fill(7)
    t.like(thrown(() => publish(array, () => void structuredClone(array, { transfer: [array.buffer] }))), { code: 'ERR_UNSAFE_MEMORY' })
  }
  t.deepEqual(owner.endpointInfo().mr_info, {})
})

test('rights are those of the options, and read where there are none', async (t) => {
  const owner = await endpoint(t, { tokens: { trainer: 'a secret', viewer: 'another' } })
  const data = Int8Array.of(1)
  t.is(owner.publish('a', data).access, 'read')
  t.is(owner.publish('b', data, { access: 'readwrite' }).access, 'readwrite')
  t.is(owner.publish('c', data, { access: 'none' }).access, 'none')
  t.like(owner.publish('d', data, { allow: ['viewer'] }), { access: 'read', allow: { viewer: 'read' } })
  t.like(owner.publish('e', data, { allow: { trainer: 'write', viewer: 'read' } }), { access: 'readwrite' })
  t.deepEqual(Object.keys(owner.endpointInfo().mr_info).sort(), ['a', 'b'])
  const publish = owner.publish.bind(owner) as (...given: unknown[]) => unknown
  for (const options of [{ access: 'all' }, { allow: ['nobody'] }, { dtype: 'int8' }]) {
    t.throws(() => publish('x', data, options), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' })
  }
  const hole: string[] = []
  hole[1] = 'viewer'
  t.throws(() => publish('x', data, { allow: hole }), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE', message: /name 1 of 2/ })
  t.throws(() => publish('', data), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' })
})

test('a name is published once, and again when its region is closed', async (t) => {
  const { target, peer } = await pair(t)
  const first = target.publish('x', Int8Array.of(1, 2))
  const error = thrown(() => target.publish('x', Int8Array.of(3))) as MemlaneError
  t.like(error, { name: 'MemlaneError', code: 'ERR_REGION_EXISTS', origin: 'local', retryable: false })
  t.regex(error.message, /"x" is open: to replace it, close it first/)
  t.deepEqual((await peer.readTensor('x')).data, Int8Array.of(1, 2), 'what was there is as it was')
  await first.close()
  target.publish('x', Int8Array.of(3))
  t.deepEqual((await peer.readTensor('x')).data, Int8Array.of(3))
  await target.close()
  t.like(thrown(() => target.publish('y', Int8Array.of(1))), { code: 'ERR_CLOSED' })
})

/** Waits for tensors `x0` to `x7` at a port, and tells of each the last number that it finds when it first sees the name. */
const WATCHER = `
  const { workerData, parentPort } = require('node:worker_threads')
  const { TcpEndpoint } = require(workerData.memlane)
  void (async () => {
    const endpoint = await TcpEndpoint.listen()
    const peer = await endpoint.connect('tcp://127.0.0.1:' + workerData.port)
    parentPort.postMessage('ready')
    for (let index = 0; index < 8; index++) {
      while (!(await peer.refresh()).has('x' + index));
      const { data } = await peer.readTensor('x' + index, { rows: [1023, 1024] })
      parentPort.postMessage(data.at(-1))
    }
    await endpoint.close()
  })()`

test('whoever sees a published name sees all of its elements', async (t) => {
  const owner = await endpoint(t)
  const worker = new Worker(WATCHER, { eval: true, workerData: { memlane: require.resolve('memlane'), port: owner.port } })
  const exited = once(worker, 'exit')
  const said = on(worker, 'message')
  const next = async (): Promise<unknown> => ((await said.next()) as { value: unknown[] }).value[0]
  t.is(await next(), 'ready')
  const data = new Float32Array(1024 * 4096).fill(7)
  for (let index = 0; index < 8; index++) {
    const region = owner.publish(`x${index}`, { data, shape: [1024, 4096] })
    t.is(await next(), 7)
    await region.close()
  }
  t.deepEqual(await exited, [0])
})
