import { once } from 'node:events'
import { readFileSync, statSync, truncateSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import test from 'ava'
import { type ErrorCode, MemlaneError, type MemoryRegion } from 'memlane'
import { file } from './support/files'
import { counting, endpoint, pair, same, thrown } from './support/pair'
import { frame, RawListener } from './support/raw-listener'

const SIZE = 8 << 20

const codeOf = (error: unknown): ErrorCode => {
  if (error instanceof MemlaneError) return error.code
  throw error
}

/** How often each came. */
function counted(what: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const one of what) counts[one] = (counts[one] ?? 0) + 1
  return counts
}

/** Blocks this thread, which the engine does not need. */
function spin(milliseconds: number): void {
  const until = performance.now() + milliseconds
  while (performance.now() < until);
}

/** A seeded generator; `MEMLANE_SEED` replays it. */
function random(log: (text: string) => void): () => number {
  let state = Number(process.env.MEMLANE_SEED ?? Date.now() % 2 ** 31)
  log(`MEMLANE_SEED=${state}`)
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state / 2 ** 31
  }
}

/** A request as both wires have it. */
function request(opcode: number, size: number, addr: number): Buffer {
  const header = Buffer.alloc(17)
  header.writeBigUInt64LE(BigInt(size), 0)
  header.writeBigUInt64LE(BigInt(addr), 8)
  header[16] = opcode
  return header
}

/** Resolves when the byte at `offset` is no 0 any more. */
async function stored(region: MemoryRegion, offset: number): Promise<void> {
  while (region.copyOut(offset, 1)[0] === 0) await new Promise(setImmediate)
}

/** Of 100,000 bytes the last thousand lie behind the end of the file then, and in the same page: nothing faults there. */
const BODY = Buffer.alloc(100_000, 9)
const SHORTER = 99_000

test('a truncated file is out of range for its peers, and only as far as it is gone', async (t) => {
  const { target, peer } = await pair(t)
  const bytes = counting(1 << 20)
  const path = file(t, bytes)
  const region = await target.mapFile('x', path, { access: 'readwrite' })
  await peer.read('x')
  truncateSync(path, 100_000)
  const gone: [number, number][] = [[100_000, 1], [99_999, 2], [(1 << 20) - 1, 1], [0, 1 << 20], [99_000, 50_000], [200_000, 100]]
  for (const [remoteOffset, length] of gone) {
    const what = `${length} bytes at ${remoteOffset}`
    t.like(await t.throwsAsync(peer.read('x', { remoteOffset, length }).wait()), { code: 'ERR_OUT_OF_RANGE', origin: 'remote' }, what)
    const write = peer.write('x', new Uint8Array(length), { remoteOffset }).wait()
    t.like(await t.throwsAsync(write), { code: 'ERR_OUT_OF_RANGE', origin: 'remote' }, what)
    t.is(statSync(path).size, 100_000, 'a refused write does not make the file longer')
    t.like(thrown(() => region.copyOut(remoteOffset, length)), { name: 'MemlaneError', code: 'ERR_FILE' }, what)
    t.like(thrown(() => region.text(remoteOffset, length)), { name: 'MemlaneError', code: 'ERR_FILE' }, what)
  }
  same(t, await peer.read('x', { length: 100_000 }), bytes.subarray(0, 100_000), 'what is left')
  t.is(await peer.write('x', new Uint8Array(9000), { remoteOffset: 91_000 }), 9000)
  t.is(target.stats().lanes.poisoned, 0)
  truncateSync(path, 1 << 20)
  t.is((await peer.read('x')).byteLength, 1 << 20, 'what is longer again is there again')
})

test('a body that is gone halfway ends its connection and disturbs no other', async (t) => {
  const { target, peer } = await pair(t)
  const path = file(t, counting(64 << 20))
  const region = await target.mapFile('x', path)
  target.alloc('other', 8, { access: 'read' })
  // The legacy wire, by hand: a reader that stops after the first bytes, so that the rest of the body is still at the target.
  const socket = connect(target.port, target.host)
  t.teardown(() => socket.destroy())
  socket.write(request(1, region.length, region.address))
  const [first] = (await once(socket, 'data')) as [Buffer]
  socket.pause()
  let received = first.length
  truncateSync(path, 10)
  t.is((await peer.read('other')).byteLength, 8)
  socket.on('data', (chunk: Buffer) => (received += chunk.length))
  socket.on('error', () => undefined)
  socket.resume()
  await once(socket, 'close')
  t.true(received < region.length, `${received} bytes came`)
  t.deepEqual(target.stats().rejected.out_of_range, 1)
  t.is((await peer.read('other')).byteLength, 8, 'another connection goes on')
  t.like(await t.throwsAsync(peer.read('x').wait()), { code: 'ERR_OUT_OF_RANGE' })
})

test('a file that shrinks under running reads ends them with an error, and the process serves on', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const next = random((text) => t.log(text))
  const path = file(t, new Uint8Array(SIZE))
  await target.mapFile('x', path)
  const local = initiator.alloc('local', SIZE)
  const ends: string[] = []
  for (let round = 0; round < 300; round++) {
    truncateSync(path, SIZE)
    const large = peer.read('x', { into: local }).wait().then(() => 'whole', codeOf)
    const small = Promise.all(
      [0, 1, 2, 3].map((index) => peer.read('x', { remoteOffset: SIZE - 4096 * (index + 1), length: 64 }).wait().then(() => 'whole', codeOf))
    )
    spin(next() * 4)
    truncateSync(path, Math.floor(next() * SIZE))
    ends.push(await large, ...(await small))
  }
  t.log(counted(ends))
  const possible = ['whole', 'ERR_OUT_OF_RANGE', 'ERR_PEER_CLOSED']
  t.deepEqual(ends.filter((end) => !possible.includes(end)), [])
  t.true(ends.includes('ERR_OUT_OF_RANGE') || ends.includes('ERR_PEER_CLOSED'))
  truncateSync(path, SIZE)
  const another = await endpoint(t)
  const client = await another.connect(`tcp://${target.host}:${target.port}`)
  t.is((await client.read('x')).byteLength, SIZE, 'the next client is served')
})

test('a file that shrinks under running writes says so to the peer that writes, and never keeps what it does not hold', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const next = random((text) => t.log(text))
  const path = file(t, new Uint8Array(SIZE))
  await target.mapFile('x', path, { access: 'readwrite' })
  const local = initiator.alloc('local', SIZE)
  new Uint8Array(local.buffer).fill(7)
  const ends: string[] = []
  for (let round = 0; round < 100; round++) {
    truncateSync(path, SIZE)
    const write = peer.write('x', local).wait().then(() => 'whole', codeOf)
    spin(next() * 6)
    truncateSync(path, Math.floor(next() * SIZE))
    ends.push(await write)
  }
  t.log(counted(ends))
  t.deepEqual(ends.filter((end) => end !== 'whole' && end !== 'ERR_OUT_OF_RANGE'), [])
  truncateSync(path, SIZE)
  t.is(await peer.write('x', local), SIZE)
  same(t, readFileSync(path), new Uint8Array(local.buffer))
})

test('a truncated file as the local end fails its operation with ERR_FILE and nothing else', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('inbox', SIZE, { access: 'readwrite' })
  const path = file(t, counting(SIZE))
  const region = await initiator.mapFile('local', path, { access: 'none' })
  await peer.refresh()
  truncateSync(path, 5000)
  for (const length of [10, 100_000, 5 << 20]) {
    const range = { length, remoteOffset: 0 }
    const calls = [
      peer.write('inbox', region, { ...range, sourceOffset: 4999 }),
      peer.write('inbox', region, { ...range, sourceOffset: 4999, notify: 1 }),
      peer.read('inbox', { ...range, into: region, intoOffset: 4999 }),
      peer.send(region, { length, sourceOffset: 4999 }),
      peer.readBatch([{ remote: 'inbox', length, local: region, localOffset: 4999 }]),
      peer.writeBatch([{ remote: 'inbox', length: 1, local: region }, { remote: 'inbox', length, local: region, localOffset: 4999 }]),
    ]
    for (const call of calls) t.like(await t.throwsAsync(call.wait()), { name: 'MemlaneError', code: 'ERR_FILE' })
  }
  t.is(statSync(path).size, 5000)
  t.is(await peer.write('inbox', region, { length: 5000 }), 5000, 'what is left can be written')
  t.is(initiator.stats().lanes.poisoned, 0)
})

test('a file that shrinks under running operations of its own process fails those with ERR_FILE', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const next = random((text) => t.log(text))
  const path = file(t, new Uint8Array(SIZE))
  target.alloc('inbox', SIZE, { access: 'readwrite' })
  const region = await initiator.mapFile('local', path, { access: 'none' })
  await peer.refresh()
  const ends: string[] = []
  for (let round = 0; round < 200; round++) {
    truncateSync(path, SIZE)
    const operation = round % 2 === 0 ? peer.write('inbox', region) : peer.read('inbox', { into: region })
    const end = operation.wait().then(() => 'whole', codeOf)
    spin(next() * 5)
    truncateSync(path, Math.floor(next() * SIZE))
    ends.push(`${round % 2 === 0 ? 'write' : 'read'} ${await end}`)
  }
  t.log(counted(ends))
  // A write whose body was half sent takes its lane with it, and the read behind it may just have been put there.
  const possible = ['write whole', 'write ERR_FILE', 'read whole', 'read ERR_FILE', 'read ERR_PEER_CLOSED']
  t.deepEqual(ends.filter((end) => !possible.includes(end)), [])
  t.true(ends.includes('write ERR_FILE') && ends.includes('read ERR_FILE'))
})

test('a message for a truncated file fails its receive, and its sender may send it again', async (t) => {
  const { target, peer } = await pair(t)
  const path = file(t, new Uint8Array(4 << 20))
  const region = await target.mapFile('x', path, { access: 'none' })
  for (const length of [10, 20_000, 3 << 20]) {
    truncateSync(path, 100)
    const receive = target.recv(region, { offset: 95 })
    const failed = t.throwsAsync(receive.wait())
    t.like(await t.throwsAsync(peer.send(new Uint8Array(length)).wait()), { code: 'ERR_NO_RECEIVE', retryable: true })
    t.like(await failed, { code: 'ERR_FILE', operation: 'recv' })
  }
  truncateSync(path, 100)
  const sent = peer.send(new Uint8Array(20_000))
  const refused = t.throwsAsync(sent.wait())
  await peer.refresh()
  t.like(await t.throwsAsync(target.recv(region, { offset: 95 }).wait()), { code: 'ERR_FILE' }, 'one that was kept')
  t.like(await refused, { code: 'ERR_NO_RECEIVE' })
  t.is(statSync(path).size, 100)
  const receive = target.recv(region, { length: 100 })
  t.is(await peer.send(counting(100)), 100, 'the next message goes to the next receive')
  same(t, (await receive).data, counting(100))
})

test('a write that ends in the last page of a file that has become shorter is not taken for stored', async (t) => {
  const target = await endpoint(t)
  const path = file(t, new Uint8Array(BODY.length))
  const region = await target.mapFile('x', path, { access: 'readwrite' })
  const other = target.alloc('other', 8, { access: 'read' })
  const socket = connect(target.port, target.host)
  t.teardown(() => socket.destroy())
  socket.write(request(2, BODY.length, region.address))
  socket.write(BODY.subarray(0, 50_000))
  await stored(region, 49_999)
  truncateSync(path, SHORTER)
  // On the legacy wire a refusal is the end of the connection: what is behind it is not answered.
  socket.write(Buffer.concat([BODY.subarray(50_000), request(1, 8, other.address)]))
  socket.on('error', () => undefined)
  const answers: Buffer[] = []
  socket.on('data', (answer: Buffer) => {
    answers.push(answer)
    socket.destroy()
  })
  await once(socket, 'close')
  t.deepEqual(answers, [])
  t.is(target.stats().rejected.out_of_range, 1)
  t.is(statSync(path).size, SHORTER)
})

test('a message that ends in the last page of a file that has become shorter is not received', async (t) => {
  const target = await endpoint(t)
  const path = file(t, new Uint8Array(BODY.length))
  const region = await target.mapFile('x', path, { access: 'none' })
  const failed = t.throwsAsync(target.recv(region).wait())
  const socket = connect(target.port, target.host)
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.write(request(0, BODY.length, 0))
  socket.write(BODY.subarray(0, 50_000))
  await stored(region, 49_999)
  truncateSync(path, SHORTER)
  socket.write(BODY.subarray(50_000))
  t.like(await failed, { code: 'ERR_FILE' })
})

test('a read that ends in the last page of a file that has become shorter has failed', async (t) => {
  const initiator = await endpoint(t)
  const path = file(t, new Uint8Array(BODY.length))
  const region = await initiator.mapFile('x', path, { access: 'none' })
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    const answer = async (): Promise<void> => {
      await once(socket, 'data')
      socket.write(BODY.subarray(0, 50_000))
      await stored(region, 49_999)
      truncateSync(path, SHORTER)
      socket.write(BODY.subarray(50_000))
    }
    void answer()
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const peer = await initiator.connect({ host: '127.0.0.1', port, mr_info: { kv: { addr: 4096, length: BODY.length } } })
  t.like(await t.throwsAsync(peer.read('kv', { into: region }).wait()), { code: 'ERR_FILE' })
  await peer.close()
})

test('a small read that finds its file shorter when it is answered has failed, and its connection goes on', async (t) => {
  const initiator = await endpoint(t)
  const path = file(t, new Uint8Array(100))
  const region = await initiator.mapFile('x', path, { access: 'none' })
  const listener = await RawListener.start({
    request({ sequence, size, socket }) {
      truncateSync(path, 50)
      socket.write(Buffer.concat([frame(sequence, 0), Buffer.alloc(size, 7)]))
    },
  })
  t.teardown(() => listener.stop())
  const peer = await initiator.connect(listener.url)
  const failing = peer.read('kv', { into: region, intoOffset: 40, length: 60 })
  t.like(await t.throwsAsync(failing.wait()), { code: 'ERR_FILE', retryable: false })
  t.is(statSync(path).size, 50)
  t.deepEqual(await peer.read('kv', { length: 3 }), new Uint8Array([7, 7, 7]))
  t.is(listener.lanes, 1)
  await peer.close()
})
