import test, { type ExecutionContext } from 'ava'
import type { MemlaneError } from 'memlane'
import { endpoint, pair, url } from './support/pair'

test('a notified write tells its peer when it is applied, by its address and length', async (t) => {
  const { target, initiator, peer } = await pair(t)
  const region = target.alloc('kv', 4096, { access: 'readwrite' })
  const scratch = initiator.alloc('scratch', 4096)
  new Uint8Array(scratch.buffer).fill(9)
  for (const source of [scratch, new Uint8Array(4096).fill(9)]) {
    const told = target.recv(new Uint8Array(16), { tag: 5, exactSize: true })
    const writing = peer.write('kv', source, { remoteOffset: 96, length: 4000, notify: 5 })
    const { data } = await told
    t.deepEqual(region.copyOut(96), new Uint8Array(4000).fill(9))
    const view = new DataView(data.buffer, data.byteOffset, 16)
    t.is(Number(view.getBigUint64(0, true)), region.address + 96)
    t.is(Number(view.getBigUint64(8, true)), 4000)
    t.is(await writing, 4000)
    new Uint8Array(region.buffer).fill(0)
  }
})

test('a write that is refused tells nobody', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('kv', 64, { access: 'read' })
  await t.throwsAsync(async () => peer.write('kv', new Uint8Array(64), { notify: 5 }), { code: 'ERR_ACCESS' })
  const told = target.recv(new Uint8Array(16), { tag: 5 })
  t.is(await told.waitFor(0.05), null)
  told.cancel()
  await t.throwsAsync(told.wait(), { code: 'ERR_ABORTED' })
})

/** An endpoint that receives nothing, and one whose writes would tell it, with memory to write from. */
async function untold(t: ExecutionContext, unexpectedTimeoutMs: number) {
  const target = await endpoint(t, { unexpectedTimeoutMs })
  const region = target.alloc('kv', 64, { access: 'readwrite' })
  const initiator = await endpoint(t)
  const source = initiator.alloc('source', 64)
  new Uint8Array(source.buffer).fill(9)
  return { target, region, initiator, source, peer: await initiator.connect(url(target)) }
}

/** Takes a little longer each time, so that what follows finds an operation in all of its moments. */
function linger(round: number): void {
  const until = performance.now() + (round % 50) / 100
  while (performance.now() < until);
}

test('a cancel ends a notified write at whatever moment it comes', async (t) => {
  const { peer, source } = await untold(t, 60_000)
  for (let round = 0; round < 300; round++) {
    const writing = peer.write('kv', source, { notify: 7, timeoutMs: 2000 })
    linger(round)
    writing.cancel()
    await t.throwsAsync(writing.wait(), { code: 'ERR_ABORTED' }, `round ${round}`)
  }
})

test('a notified write has ended when the peer that it went to is closed', async (t) => {
  const { target, initiator, source } = await untold(t, 60_000)
  // Uses the same connections, which so stay open.
  await initiator.connect(url(target))
  for (let round = 0; round < 100; round++) {
    const peer = await initiator.connect(url(target))
    const writing = peer.write('kv', source, { notify: 7, timeoutMs: 2000 })
    linger(round)
    await peer.close()
    // Null if it is still open.
    await t.throwsAsync(writing.waitFor(0), { code: 'ERR_CLOSED' }, `round ${round}`)
  }
})

test('a write whose message nobody received says that something was done', async (t) => {
  const { peer, source, region } = await untold(t, 50)
  const error = (await t.throwsAsync(peer.write('kv', source, { notify: 7 }).wait())) as MemlaneError
  t.is(error.code, 'ERR_NO_RECEIVE')
  t.is(error.outcome, 'unknown')
  t.deepEqual(region.copyOut(), new Uint8Array(64).fill(9))
})
