import test from 'ava'
import { TcpContext, TcpEndpoint } from 'memlane'
import { counting, endpoint, pair, same, thrown } from './support/pair'
import { header, RawConnection, READ, WRITE } from './support/raw'

const DAY_MS = 86_400_000

async function spent(job: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await job()
  return performance.now() - began
}

/** An endpoint with a peer that asked for much and reads nothing of it. */
async function hung(context?: TcpContext) {
  const target = await TcpEndpoint.listen(context === undefined ? {} : { context })
  const region = target.alloc('kv', 32 << 20, { access: 'read' })
  const greedy = await RawConnection.native(target.port)
  greedy.pause()
  await greedy.writeAll(header(READ, region.length, region.address))
  while (target.stats().bytes.served === 0) await new Promise((resolve) => setImmediate(resolve))
  return { target, region, greedy }
}

test.serial('close resolves within drainMs and a second, however long a peer hangs', async (t) => {
  for (const [drainMs, least] of [
    [0, 0],
    [300, 300],
  ] as const) {
    const { target, greedy } = await hung()
    const passed = await spent(() => target.close({ drainMs }))
    t.true(passed >= least && passed < least + 1000, `${passed} ms with drainMs ${drainMs}`)
    greedy.destroy()
  }
})

test.serial('a body that is coming in may get there within drainMs, and not at all with 0', async (t) => {
  for (const [drainMs, arrives] of [
    [10_000, true],
    [0, false],
  ] as const) {
    const target = await endpoint(t)
    const region = target.alloc('kv', 1000, { access: 'write' })
    const memory = new Uint8Array(region.buffer)
    const bytes = counting(1000, 7)
    const writer = await RawConnection.native(target.port)
    await writer.writeAll(Buffer.concat([header(WRITE, 1000, region.address), bytes.subarray(0, 500)]))
    while (memory[499] !== bytes[499]) await new Promise((resolve) => setImmediate(resolve))
    const closing = target.close({ drainMs })
    if (arrives) {
      await writer.writeAll(bytes.subarray(500))
      t.deepEqual(await writer.takeStatus(), { sequence: 0, status: 0 })
      await writer.rest()
      same(t, memory, bytes)
    } else {
      await closing
      await writer.writeAll(bytes.subarray(500))
      await writer.rest()
      same(t, memory.subarray(500), new Uint8Array(500))
    }
    await closing
    writer.destroy()
  }
})

test.serial('the options of the first close hold, and all are checked', async (t) => {
  const { target, region, greedy } = await hung()
  const closing = target.close({ drainMs: 200 })
  t.is(target.close({ drainMs: DAY_MS }), closing)
  t.is(target.close(), closing)
  const passed = await spent(() => closing)
  t.true(passed < 1200, `${passed} ms`)
  greedy.destroy()
  const context = new TcpContext()
  t.teardown(() => context.close())
  for (const closable of [target, region, context] as { close(options?: object): Promise<void> }[]) {
    for (const drainMs of [-1, DAY_MS + 1, 0.5]) {
      const error = thrown(() => closable.close({ drainMs }))
      t.like(error, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
      t.regex(error.message, /^drainMs must be an integer from 0 to 86400000 milliseconds/)
    }
    t.like(thrown(() => closable.close({ drainMs: '1' })), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
    t.like(thrown(() => closable.close({ drain: 1 })), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  }
  t.false(context.closed)
})

test.serial('a context gives its endpoints the time that it is given, and a region its readers', async (t) => {
  const context = new TcpContext({ drainMs: 60_000 })
  const one = await hung(context)
  const fence = await spent(() => one.region.close({ drainMs: 100 }))
  t.true(fence >= 100 && fence < 1100, `${fence} ms`)
  const two = await hung(context)
  const passed = await spent(() => context.close({ drainMs: 100 }))
  t.true(passed >= 100 && passed < 1100, `${passed} ms`)
  t.true(one.target.closed && two.target.closed)
  one.greedy.destroy()
  two.greedy.destroy()
})

test.serial('an endpoint that nobody hangs on closes at once, whatever time it is given', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('kv', 8, { access: 'read' })
  await peer.read('kv')
  t.true((await spent(() => target.close({ drainMs: DAY_MS }))) < 1000)
  t.true((await spent(() => initiator.close({ drainMs: DAY_MS }))) < 1000)
})
