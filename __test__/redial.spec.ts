import test from 'ava'
import type { MemlaneError, TcpEndpoint } from 'memlane'
import { endpoint, same } from './support/pair'
import { READ, WRITE } from './support/raw'
import { description, frame, type Heard, RawListener, REGION } from './support/raw-listener'
import { pattern } from './support/raw-random'

const OK = 0
const NO_SUCH_REGION = 1
const CONTENT = pattern('kv', REGION.length)
const READS = 100

/** A target that is reset when it has heard so many requests, and is another instance afterwards: its addresses are others. */
async function restarting(after: number, resets: number) {
  const heard: Heard[] = []
  let described = 0
  let restarts = 0
  const address = () => REGION.addr + restarts * 0x1000000
  const listener = await RawListener.start({
    describe: (honest, socket) => {
      described++
      const info = {
        host: '127.0.0.1',
        port: listener.port,
        mr_info: { kv: { ...REGION, addr: address(), access: 'readwrite' } },
        memlane: { version: 1, instance: String(restarts) },
      }
      socket.write(Buffer.concat([honest.subarray(0, 8), description(JSON.stringify(info))]))
    },
    request: (request) => {
      heard.push(request)
      const { op, addr, size, sequence, socket } = request
      if (restarts < resets) {
        if (heard.length % after !== 0) return
        restarts++
        socket.resetAndDestroy()
        return
      }
      const offset = addr - address()
      if (offset < 0 || offset > REGION.length) {
        socket.write(frame(sequence, NO_SUCH_REGION))
      } else {
        socket.write(Buffer.concat([frame(sequence, OK), op === READ ? CONTENT.subarray(offset, offset + size) : Buffer.alloc(0)]))
      }
    },
  })
  return { listener, heard, described: () => described }
}

test('reads that a restart left unanswered succeed, though the new process has its regions elsewhere', async (t) => {
  const { listener, heard, described } = await restarting(READS, 1)
  t.teardown(() => listener.stop())
  const initiator = await endpoint(t)
  const peer = await initiator.connect(listener.url)
  const before = initiator.stats().lanes.dialled
  const scratch = initiator.alloc('scratch', READS * 8)
  const offset = (index: number) => (index * 37) % 4000
  const half = READS / 2
  const into = Array.from({ length: half }, (_, index) => {
    return peer.read('kv', { into: scratch, intoOffset: index * 8, remoteOffset: offset(index), length: 8 })
  })
  const out = Array.from({ length: half }, (_, index) => peer.read('kv', { remoteOffset: offset(half + index), length: 8 }))
  for (const read of into) t.is(await read, 8)
  for (const [index, read] of out.entries()) same(t, await read, CONTENT.subarray(offset(half + index), offset(half + index) + 8))
  t.is(initiator.stats().lanes.dialled, before + 1)
  t.is(initiator.stats().operations.failed, READS, 'the refusals of addresses that are gone')
  // Each went three times: before the restart, to its old address, to its new one.
  t.is(heard.length, READS * 3)
  t.true(described() > 1)
})

test('a target that is reset by every read fails it once, and the next one dials anew', async (t) => {
  const { listener, heard } = await restarting(1, 4)
  t.teardown(() => listener.stop())
  const initiator = await endpoint(t)
  const peer = await initiator.connect(listener.url)
  for (const lanes of [2, 4]) {
    await t.throwsAsync(peer.read('kv', { length: 8 }).wait(), { code: 'ERR_PEER_CLOSED' })
    t.is(heard.length, lanes)
  }
  same(t, await peer.read('kv', { length: 8 }), CONTENT.subarray(0, 8))
})

test('a write that a reset left unanswered is never repeated: its outcome is unknown', async (t) => {
  const { listener, heard } = await restarting(1, 1)
  t.teardown(() => listener.stop())
  const initiator: TcpEndpoint = await endpoint(t)
  const peer = await initiator.connect(listener.url)
  const error = await t.throwsAsync<MemlaneError>(peer.write('kv', CONTENT).wait(), { code: 'ERR_PEER_CLOSED' })
  t.is(error?.outcome, 'unknown')
  t.is(heard.filter(({ op }) => op === WRITE).length, 1)
  same(t, await peer.read('kv'), CONTENT)
})
