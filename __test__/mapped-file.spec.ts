import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import type { MemlaneError } from 'memlane'
import { descriptors, file, folder, mappings } from './support/files'
import { counting, endpoint, fill, pair, same, thrown } from './support/pair'

test('a file of 64 MiB is served as it lies on the disk, at any offset and length', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const bytes = counting(64 << 20)
  const path = file(t, bytes)
  const region = await target.mapFile('model', path)
  t.like(region, { name: 'model', length: bytes.length, access: 'read', closed: false })
  t.deepEqual(region.info(), { addr: region.address, length: bytes.length, access: 'read' })
  same(t, await peer.read('model'), bytes)
  const local = initiator.alloc('local', bytes.length)
  t.is(await peer.read('model', { into: local }), bytes.length)
  same(t, new Uint8Array(local.buffer), bytes)
  for (const [remoteOffset, length] of [[0, 1], [4095, 2], [8191, 8192], [1, 8193], [(64 << 20) - 3, 3], [5, 3 << 20]] as const) {
    const expected = bytes.subarray(remoteOffset, remoteOffset + length)
    same(t, await peer.read('model', { remoteOffset, length }), expected, `${length} bytes at ${remoteOffset}`)
  }
  t.like(await t.throwsAsync(peer.write('model', new Uint8Array(8)).wait()), { code: 'ERR_ACCESS', origin: 'remote' })
  same(t, readFileSync(path), bytes, 'and the file is as it was')
})

test('a range of a file needs no alignment and is all that peers reach', async (t) => {
  const { target, peer } = await pair(t)
  const bytes = counting(100_000)
  const path = file(t, bytes)
  for (const given of [path, Buffer.from(path), pathToFileURL(path)]) {
    const region = await target.mapFile('part', given, { offset: 4099n, length: 70_001 })
    same(t, await peer.read('part'), bytes.subarray(4099, 4099 + 70_001))
    same(t, region.copyOut(3, 9), bytes.subarray(4102, 4111))
    t.like(await t.throwsAsync(async () => peer.read('part', { length: 70_002 }).wait()), { code: 'ERR_OUT_OF_RANGE' })
    await region.close()
  }
  const rest = await target.mapFile('rest', path, { offset: 99_990 })
  t.is(rest.length, 10)
})

test('what a peer writes to a file is in the file', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const path = file(t, new Uint8Array(5 << 20))
  const region = await target.mapFile('log', path, { access: 'readwrite', offset: 100 })
  const large = counting(4 << 20)
  const local = initiator.alloc('local', large.length)
  fill(local.buffer, large)
  await peer.write('log', Buffer.from('hello'))
  await peer.write('log', local, { remoteOffset: 9000 })
  const written = readFileSync(path)
  t.is(written.toString('utf8', 100, 105), 'hello')
  same(t, written.subarray(9100, 9100 + large.length), large)
  t.is(written.length, 5 << 20)
  t.is(region.text(0, 5), 'hello')
  same(t, await peer.read('log', { remoteOffset: 9000, length: large.length }), large)
})

test('a file is the local end of reads, writes, batches and messages', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const size = 3 << 20
  const bytes = counting(size)
  fill(target.alloc('source', size, { access: 'read' }).buffer, bytes)
  const inbox = target.alloc('inbox', size, { access: 'write' })
  const model = await initiator.mapFile('model', file(t, bytes))
  const path = file(t, new Uint8Array(size))
  const scratch = await initiator.mapFile('scratch', path, { access: 'none' })

  t.is(await peer.write('inbox', model), size)
  same(t, new Uint8Array(inbox.buffer), bytes, 'a large write from a file')
  await peer.write('inbox', model, { sourceOffset: 77, length: 100 })
  same(t, inbox.copyOut(0, 100), bytes.subarray(77, 177), 'a small write from a file')

  t.is(await peer.read('source', { into: scratch }), size)
  same(t, readFileSync(path), bytes, 'a large read into a file')
  await peer.read('source', { into: scratch, intoOffset: 5, remoteOffset: 500, length: 100 })
  same(t, readFileSync(path).subarray(5, 105), bytes.subarray(500, 600), 'a small read into a file')
  await peer.readBatch([
    { remote: 'source', local: scratch, localOffset: 0, length: 100 },
    { remote: 'source', remoteOffset: 9, local: scratch, localOffset: 200, length: 1 << 20 },
  ])
  same(t, readFileSync(path).subarray(200, 200 + (1 << 20)), bytes.subarray(9, 9 + (1 << 20)), 'a batch into a file')

  const back = await target.connect(`tcp://127.0.0.1:${initiator.port}`)
  for (const length of [10, 2 << 20]) {
    const receive = initiator.recv(scratch, { offset: 3 })
    await back.send(bytes.subarray(0, length))
    const { data, bytes: count } = await receive
    t.is(count, length)
    same(t, data, bytes.subarray(0, length), 'the data of a message in a file, a copy')
    t.is((await receive).data, data, 'made once')
    same(t, readFileSync(path).subarray(3, 3 + length), bytes.subarray(0, length), 'a message in a file')
  }
  const sent = back.send(bytes.subarray(0, 50))
  await peer.refresh()
  t.is((await initiator.recv(scratch)).bytes, 50, 'also one that came before its receive')
  await sent
  same(t, readFileSync(path).subarray(0, 50), bytes.subarray(0, 50))
  const receive = target.recv(new Uint8Array(200_000))
  await peer.send(model, { sourceOffset: 1, length: 200_000 })
  same(t, (await receive).data, bytes.subarray(1, 200_001), 'a message from a file')
})

test('a file that was mapped to be read is refused at the call where something is to be stored', async (t) => {
  const { initiator, target, peer } = await pair(t)
  target.alloc('x', { dtype: 'uint8', shape: [8], access: 'read' })
  const model = await initiator.mapFile('model', file(t, counting(8)), { dtype: 'uint8', shape: [8] })
  const calls = [
    () => peer.read('x', { into: model }),
    () => peer.readTensor('x', { into: model }),
    () => initiator.recv(model),
    () => peer.readBatch([{ remote: 'x', local: model }]),
    () => peer.readBatch(Float64Array.of(0, 0, 1), { remote: 'x', local: model }),
    () => peer.prepare('read', [{ remote: 'x', local: model }]),
  ]
  for (const call of calls) t.like(thrown(call), { name: 'MemlaneError', code: 'ERR_ACCESS', origin: 'local' }, String(call))
})

test('a file has no buffer unless it was asked for, and copies are its bytes', async (t) => {
  const owner = await endpoint(t)
  const path = file(t, Buffer.from('grün und blau'))
  const region = await owner.mapFile('safe', path)
  t.false(region.viewable)
  const error = thrown(() => region.buffer)
  t.like(error, { name: 'MemlaneError', code: 'ERR_UNSAFE_MEMORY' })
  t.regex(error.message, /copyOut.*text.*unsafeBuffer/)
  t.is(region.text(), 'grün und blau')
  t.is(region.text(0, 5), 'grün')
  same(t, region.copyOut(), readFileSync(path))

  const asked = await owner.mapFile('asked', path, { unsafeBuffer: true })
  t.true(asked.viewable)
  t.is(Buffer.from(asked.buffer).toString(), 'grün und blau')
  new Uint8Array(asked.buffer)[0] = 71
  t.is(Buffer.from(asked.buffer).toString(), 'Grün und blau', 'a store into what may only be read does not end the process')
  t.is(asked.text(), 'grün und blau', 'and is nobody else’s')
  t.is(readFileSync(path, 'utf8'), 'grün und blau')

  const writable = await owner.mapFile('writable', path, { access: 'none', unsafeBuffer: true, offset: 8, length: 2 })
  new Uint8Array(writable.buffer)[0] = 33
  t.is(readFileSync(path)[8], 33, 'a store into what may be written is in the file')
  const odd = await owner.mapFile('odd', path, { unsafeBuffer: true, offset: 1 })
  t.like(thrown(() => odd.buffer), { code: 'ERR_UNSAFE_MEMORY' }, 'arrays want their elements aligned')
})

test('a sealed file has a buffer: nobody can truncate it', async (t) => {
  const program = `
import fcntl, os, sys
fd = os.memfd_create('weights', os.MFD_ALLOW_SEALING)
os.write(fd, bytes(range(256)) * 16)
fcntl.fcntl(fd, 1033, 0x2)
print(f'/proc/{os.getpid()}/fd/{fd}', flush=True)
sys.stdin.read()`
  const child = spawn('python3', ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const path = await new Promise<string | undefined>((resolve) => {
    child.on('error', () => resolve(undefined))
    child.stdout.once('data', (line: Buffer) => resolve(line.toString().trim()))
  })
  if (path === undefined) {
    t.log('there is no python3 here to make a sealed file with; the engine has a test of its own')
    t.pass()
    return
  }
  t.teardown(() => child.kill())
  const { target, peer } = await pair(t)
  const region = await target.mapFile('weights', path)
  t.true(region.viewable)
  t.is(new Uint8Array(region.buffer)[255], 255)
  t.is(region.copyOut(4090, 2)[0], 250)
  t.throws(() => truncateSync(path, 10), { code: 'EPERM' })
  t.is((await peer.read('weights')).byteLength, 4096)
})

test('what cannot be mapped is ERR_FILE, with the system’s error where there is one', async (t) => {
  const owner = await endpoint(t)
  const place = folder(t)
  const path = file(t, counting(100))
  const fails = async (what: string, map: Promise<unknown>, cause?: string): Promise<void> => {
    const error = (await t.throwsAsync(map, undefined, what)) as MemlaneError
    t.like(error, { name: 'MemlaneError', code: 'ERR_FILE', origin: 'local', retryable: false }, what)
    t.regex(error?.message ?? '', /^mapFile.*["']\/.*["']/, `${what}: the message names the path`)
    t.is((error.cause as NodeJS.ErrnoException | undefined)?.code, cause, what)
  }
  await fails('missing', owner.mapFile('x', join(place, 'none')), 'ENOENT')
  await fails('a directory', owner.mapFile('x', place))
  await fails('a directory to write', owner.mapFile('x', place, { access: 'write' }), 'EISDIR')
  await fails('a device', owner.mapFile('x', '/dev/zero'))
  await fails('empty', owner.mapFile('x', file(t, new Uint8Array(0))))
  await fails('an offset at the end', owner.mapFile('x', path, { offset: 100 }))
  await fails('an offset behind it', owner.mapFile('x', path, { offset: Number.MAX_SAFE_INTEGER }))
  await fails('a length that leaves it', owner.mapFile('x', path, { offset: 50, length: 51 }))
  await fails('a tensor that leaves it', owner.mapFile('x', path, { dtype: 'float64', shape: [13] }))
  if (process.getuid?.() !== 0) {
    chmodSync(path, 0o400)
    await fails('no right to write', owner.mapFile('x', path, { access: 'readwrite' }), 'EACCES')
  }
  mkdirSync(join(place, 'sub'))
  t.is((await owner.mapFile('x', path)).length, 100, 'and the name is free')
  await t.throwsAsync(owner.mapFile('x', path), { code: 'ERR_REGION_EXISTS' })
})

test('mapFile refuses what makes no sense, at the call and with a code', async (t) => {
  const owner = await endpoint(t)
  const path = file(t, counting(8))
  const map = owner.mapFile.bind(owner) as (...given: unknown[]) => unknown
  const types: [unknown[], string][] = [
    [['', path], 'ERR_INVALID_ARG_VALUE'],
    [[1, path], 'ERR_INVALID_ARG_TYPE'],
    [['x', 7], 'ERR_INVALID_ARG_TYPE'],
    [['x', ''], 'ERR_INVALID_ARG_VALUE'],
    [['x', 'a\0b'], 'ERR_INVALID_ARG_VALUE'],
    [['x', new URL('https://example.org/')], 'ERR_INVALID_ARG_VALUE'],
    [['x', path, { access: 'rw' }], 'ERR_INVALID_ARG_VALUE'],
    [['x', path, { ofset: 1 }], 'ERR_INVALID_ARG_VALUE'],
    [['x', path, { unsafeBuffer: 1 }], 'ERR_INVALID_ARG_TYPE'],
    [['x', path, { signal: 1 }], 'ERR_INVALID_ARG_TYPE'],
    [['x', path, { dtype: 'uint8' }], 'ERR_INVALID_ARG_TYPE'],
    [['x', path, { dtype: 'uint8', shape: [8], length: 8 }], 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [given, code] of types) t.throws(() => map(...given), { instanceOf: TypeError, code }, JSON.stringify(given))
  for (const options of [{ offset: -1 }, { length: 0 }, { offset: 0.5 }, { length: 2 ** 53 }, { dtype: 'uint8', shape: [0] }]) {
    t.throws(() => map('x', path, options), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }, JSON.stringify(options))
  }
})

// Serial: what others have open meanwhile would count.
test.serial('a map that is given up leaves nothing behind, and says why', async (t) => {
  const path = file(t, counting(4096))
  const owner = await endpoint(t)
  const before = descriptors()
  const controller = new AbortController()
  const aborted = owner.mapFile('x', path, { signal: controller.signal })
  controller.abort('enough')
  t.like(await t.throwsAsync(aborted), { code: 'ERR_ABORTED', cause: 'enough' })
  t.like(await t.throwsAsync(owner.mapFile('x', path, { signal: controller.signal })), { code: 'ERR_ABORTED' })
  t.is(descriptors(), before)
  const late = owner.mapFile('x', path)
  const closing = owner.close()
  t.like(await t.throwsAsync(late), { code: 'ERR_CLOSED' })
  await closing
  t.is(mappings(path), 0)
  t.true(descriptors() <= before)
  t.like(thrown(() => owner.mapFile('x', path)), { code: 'ERR_CLOSED' })
})

test.serial('a thousand maps, used and closed, leave no descriptor and no mapping', async (t) => {
  const { target, peer } = await pair(t)
  const path = file(t, counting(100_000))
  const round = async (index: number): Promise<void> => {
    const region = await target.mapFile('x', path, { access: 'readwrite', offset: index })
    if (index % 10 === 0) await peer.read('x')
    await t.throwsAsync(target.mapFile('x', path), { code: 'ERR_REGION_EXISTS' })
    await region.close()
  }
  await round(0)
  const before = descriptors()
  for (let index = 0; index < 1000; index++) await round(index)
  t.is(descriptors(), before)
  t.is(mappings(path), 0)
})

test.serial('the buffer of a file that may not be written takes no descriptor more', async (t) => {
  const owner = await endpoint(t)
  const bytes = counting(4096)
  const region = await owner.mapFile('x', file(t, bytes), { unsafeBuffer: true })
  const before = descriptors()
  same(t, new Uint8Array(region.buffer), bytes)
  t.is(descriptors(), before)
})

test('a file of a tebibyte is served at once, and a copy of all of it is ERR_MEMORY', async (t) => {
  const { target, peer } = await pair(t)
  const path = file(t, counting(10))
  truncateSync(path, 2 ** 40)
  const region = await target.mapFile('sparse', path)
  t.is(region.length, 2 ** 40)
  same(t, await peer.read('sparse', { length: 10 }), counting(10))
  t.like(thrown(() => region.copyOut()), { code: 'ERR_MEMORY', name: 'MemlaneError' })
  t.like(await t.throwsAsync(async () => peer.read('sparse').wait()), { code: 'ERR_MEMORY' })
})
