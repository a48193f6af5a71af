import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { DTYPES, type DType, type MemlaneError, type Tensor } from 'memlane'
import { file } from './support/files'
import { counting, endpoint, pair, same, thrown } from './support/pair'
import { description, frame, RawListener } from './support/raw-listener'

const Half = (globalThis as { Float16Array?: { name: string } }).Float16Array?.name ?? 'Uint16Array'

/** Bytes of an element, and the array that the page on tensors names. */
const ARRAYS: Record<DType, [number, string]> = {
  float64: [8, 'Float64Array'],
  float32: [4, 'Float32Array'],
  float16: [2, Half],
  bfloat16: [2, 'Uint16Array'],
  int64: [8, 'BigInt64Array'],
  int32: [4, 'Int32Array'],
  int16: [2, 'Int16Array'],
  int8: [1, 'Int8Array'],
  uint64: [8, 'BigUint64Array'],
  uint32: [4, 'Uint32Array'],
  uint16: [2, 'Uint16Array'],
  uint8: [1, 'Uint8Array'],
  bool: [1, 'Uint8Array'],
  float8_e4m3fn: [1, 'Uint8Array'],
  float8_e5m2: [1, 'Uint8Array'],
  float8_e4m3fnuz: [1, 'Uint8Array'],
  float8_e5m2fnuz: [1, 'Uint8Array'],
  float8_e8m0fnu: [1, 'Uint8Array'],
  complex64: [8, 'Float32Array'],
}

const bytesOf = ({ data }: Tensor): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

test('docs/tensors.md has every type, with its bytes and its array', (t) => {
  const page = readFileSync(join(dirname(require.resolve('memlane/package.json')), 'docs', 'tensors.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\d) \|(.*?)\|/gm)]
  t.deepEqual(rows.map(([, dtype]) => dtype).sort(), [...DTYPES].sort())
  for (const [, dtype, size, array = ''] of rows) {
    const [bytes, name] = ARRAYS[dtype as DType]
    t.is(Number(size), bytes, dtype)
    t.true(array.includes(`\`${name}\``), dtype)
  }
})

test('a tensor of every type arrives as its array, with its shape', async (t) => {
  const { target, peer } = await pair(t)
  t.deepEqual([...DTYPES].sort(), Object.keys(ARRAYS).sort())
  for (const dtype of DTYPES) {
    const [size, name] = ARRAYS[dtype]
    const region = target.alloc(dtype, { dtype, shape: [2, 3n, 5], access: 'read' })
    t.is(region.length, 30 * size)
    t.deepEqual([region.dtype, region.shape], [dtype, [2, 3, 5]])
    t.deepEqual(region.info(), { addr: region.address, length: 30 * size, access: 'read', dtype, shape: [2, 3, 5] })
    t.deepEqual(target.endpointInfo().mr_info[dtype], region.info())
    const live = region.typed()
    t.is(live.constructor.name, name)
    t.is(live.buffer, region.buffer, 'live')
    new Uint8Array(region.buffer).set(counting(region.length))
    const tensor = await peer.readTensor(dtype)
    t.is(tensor.dtype, dtype)
    t.deepEqual(tensor.shape, [2, 3, 5])
    t.is(tensor.data.constructor.name, name)
    t.is(tensor.data.length, dtype === 'complex64' ? 60 : 30)
    t.deepEqual(tensor.data, live)
    t.not(tensor.data.buffer, live.buffer)
    same(t, bytesOf(tensor), counting(region.length))
  }
})

test('a tensor has any shape that has elements', async (t) => {
  const owner = await endpoint(t)
  const scalar = owner.alloc('scalar', { dtype: 'float32', shape: [] })
  t.is(scalar.length, 4)
  t.deepEqual(scalar.shape, [])
  t.is(owner.alloc('deep', { dtype: 'int8', shape: Array.from({ length: 32 }, () => 1) }).length, 1)
  t.is(owner.alloc('plain', 4).dtype, undefined)
  const alloc = owner.alloc.bind(owner) as (...given: unknown[]) => unknown
  for (const shape of [[0], [2, 0, 3], [2 ** 53 - 1, 0], [2 ** 50, 8], [2 ** 32, 2 ** 32], [-1], [0.5], [2 ** 53], Array.from({ length: 33 }, () => 1)]) {
    t.throws(() => alloc('x', { dtype: 'float32', shape }), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }, JSON.stringify(shape))
  }
  for (const given of [{ dtype: 'float32' }, { shape: [1] }, { dtype: 'float32', shape: 4 }, { dtype: 1, shape: [1] }, { dtype: 'float32', shape: ['1'] }, {}]) {
    t.throws(() => alloc('x', given), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }, JSON.stringify(given))
  }
  for (const given of [{ dtype: 'constructor', shape: [1] }, { dtype: 'float', shape: [1] }, { dtype: 'int8', shape: [1], length: 1 }]) {
    t.throws(() => alloc('x', given), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' }, JSON.stringify(given))
  }
  t.like(thrown(() => owner.alloc('plain2', 4).typed()), { name: 'MemlaneError', code: 'ERR_TENSOR' })
})

test('a tensor is read into a region or an array that is made for it', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const region = target.alloc('x', { dtype: 'float32', shape: [3, 2], access: 'read' })
  new Float32Array(region.buffer).set([1, 2, 3, 4, 5, 6])
  const local = initiator.alloc('local', { dtype: 'float32', shape: [3, 2] })
  const read = await peer.readTensor('x', { into: local })
  t.deepEqual(read, { dtype: 'float32', shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) })
  t.is(read.data.buffer, local.buffer, 'no copy')
  const array = new Float32Array(8)
  const part = array.subarray(1, 7)
  t.is((await peer.readTensor('x', { into: part })).data, part)
  t.deepEqual([...array], [0, 1, 2, 3, 4, 5, 6, 0])
  const halves = target.alloc('halves', { dtype: 'float16', shape: [2], access: 'read' })
  new Uint16Array(halves.buffer).set([0x3c00, 0x4000])
  const bits = new Uint16Array(2)
  await peer.readTensor('halves', { into: bits })
  t.deepEqual([...bits], [0x3c00, 0x4000], 'bits are taken for float16 everywhere')
})

test('an into for another tensor is refused, and the error shows both', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('x', { dtype: 'float32', shape: [3, 2], access: 'read' })
  const cases: [unknown, RegExp][] = [
    [initiator.alloc('a', { dtype: 'int32', shape: [3, 2] }), /float32 \[3, 2\], 24 bytes; into is a region of int32 \[3, 2\], 24 bytes/],
    [initiator.alloc('b', { dtype: 'float32', shape: [2, 3] }), /float32 \[3, 2\], 24 bytes; into is a region of float32 \[2, 3\], 24 bytes/],
    [initiator.alloc('c', { dtype: 'float32', shape: [3, 2, 1] }), /into is a region of float32 \[3, 2, 1\]/],
    [initiator.alloc('d', 24), /into is a region without dtype, 24 bytes/],
    [new Float32Array(5), /float32 \[3, 2\], 24 bytes; into is Float32Array \[5\], 20 bytes/],
    [new Float32Array(7), /into is Float32Array \[7\], 28 bytes/],
    [new Int32Array(6), /into is Int32Array \[6\], 24 bytes/],
  ]
  for (const [into, message] of cases) {
    const read = () => peer.readTensor('x', { into: into as Float32Array })
    // The name is not known yet at the first call, and is from then on: the error comes late, then at the call.
    const error = (await t.throwsAsync(async () => read().wait())) as MemlaneError
    t.like(error, { name: 'MemlaneError', code: 'ERR_TENSOR', origin: 'local', retryable: false })
    t.regex(error.message, message)
  }
  t.like(thrown(() => peer.readTensor('x', { into: new Int32Array(6) })), { code: 'ERR_TENSOR' }, 'at the call')
  const wrong = peer.readTensor.bind(peer) as (...given: unknown[]) => unknown
  for (const into of [new DataView(new ArrayBuffer(24)), new ArrayBuffer(24), 1]) {
    t.throws(() => wrong('x', { into }), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
  }
  t.throws(() => wrong('x', { remoteOffset: 1 }), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' })
})

test('a region without dtype is no tensor, and the error says so', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('plain', 16, { access: 'read' })
  const error = (await t.throwsAsync(peer.readTensor('plain').wait())) as MemlaneError
  t.like(error, { name: 'MemlaneError', code: 'ERR_TENSOR' })
  t.regex(error.message, /"plain".* has no dtype/)
  t.like(await t.throwsAsync(peer.readTensor('none').wait()), { code: 'ERR_REGION_NOT_FOUND' })
  const controller = new AbortController()
  controller.abort()
  t.like(await t.throwsAsync(peer.readTensor('plain', { signal: controller.signal }).wait()), { code: 'ERR_ABORTED' })
})

test('a tensor that was made anew in another shape is read in that', async (t) => {
  const { target, peer } = await pair(t)
  const first = target.alloc('x', { dtype: 'uint8', shape: [4], access: 'read' })
  t.deepEqual((await peer.readTensor('x')).shape, [4])
  await first.close()
  target.alloc('x', { dtype: 'int16', shape: [3, 3], access: 'read' })
  const { dtype, shape, data } = await peer.readTensor('x')
  t.deepEqual({ dtype, shape, elements: data.length }, { dtype: 'int16', shape: [3, 3], elements: 9 })
})

test('a tensor in a file is served and read like any other', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const path = file(t, new Uint8Array(new Float64Array(40).map((_, index) => index).buffer))
  const region = await target.mapFile('x', path, { dtype: 'float64', shape: [4, 5], offset: 80 })
  t.is(region.length, 160)
  const tensor = await peer.readTensor('x')
  t.deepEqual(tensor, { dtype: 'float64', shape: [4, 5], data: new Float64Array(20).map((_, index) => index + 10) })
  t.deepEqual(region.typed(), tensor.data, 'a copy where there is no buffer')
  const into = await initiator.mapFile('y', path, { dtype: 'float64', shape: [4, 5], access: 'none' })
  const read = await peer.readTensor('x', { into })
  t.deepEqual(read.data, tensor.data)
  t.is(read.data, read.data, 'copied once')
})

test('what a peer says of its tensors is looked at, and nonsense is the peer’s fault', async (t) => {
  const owner = await endpoint(t)
  const region = { addr: 0x10000000, length: 24, access: 'read' }
  const attempt = async (claims: object): Promise<unknown> => {
    const info = { host: '127.0.0.1', port: 1, mr_info: { kv: { ...region, ...claims } }, memlane: { version: 1 } }
    const describe = (_: Buffer, socket: { write(bytes: Buffer): unknown }): void => {
      socket.write(Buffer.concat([frame(0, 0), description(JSON.stringify(info))]))
    }
    const listener = await RawListener.start({ describe })
    t.teardown(() => listener.stop())
    return owner.connect(`tcp://127.0.0.1:${listener.port}`).wait()
  }
  const nonsense = [
    { dtype: 'float32' },
    { shape: [6] },
    { dtype: 1, shape: [6] },
    { dtype: 'float32', shape: 6 },
    { dtype: 'float32', shape: [5] },
    { dtype: 'float32', shape: [-6] },
    { dtype: 'float32', shape: [1.5, 4] },
    { dtype: 'float32', shape: ['6'] },
    { dtype: 'float32', shape: [2 ** 53] },
    { dtype: 'float32', shape: [2 ** 40, 2 ** 40] },
    { dtype: 'float32', shape: Array.from({ length: 33 }, () => 1) },
    { dtype: 'a new one', shape: [null] },
  ]
  for (const claims of nonsense) {
    t.like(await t.throwsAsync(attempt(claims)), { code: 'ERR_PROTOCOL', origin: 'remote' }, JSON.stringify(claims))
  }
  const peer = (await attempt({ dtype: 'toString', shape: [3] })) as Awaited<ReturnType<typeof owner.connect>>
  t.like(peer.regions.get('kv'), { dtype: 'toString', shape: [3], length: 24 })
  const error = thrown(() => peer.readTensor('kv'))
  t.like(error, { code: 'ERR_TENSOR' })
  t.regex(error.message, /toString \[3\].*not known here/)
})
