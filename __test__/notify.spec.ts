import test from 'ava'
import { pair } from './support/pair'

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
