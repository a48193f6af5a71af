import anyTest, { type TestFn } from 'ava'
import { header, PING, READ, RawConnection, SEND, sendRequest, writeRequest } from './support/raw'
import { pattern, seed } from './support/raw-random'
import { isUnchanged, LIMITS, serves, Target } from './support/raw-rig'

const test = anyTest as TestFn<Target>

test.beforeEach(async (t) => {
  t.context = await Target.start()
})
test.afterEach.always((t) => t.context.stop())

const OK = 0
const MESSAGE_SIZE = 4
const NO_RECEIVE = 5
const PATIENCE_MS = LIMITS.unexpectedTimeoutMs + 1_000

/** A message that is itself whole, valid WRITE requests, as many as `atLeast` bytes hold. */
function loaded(target: Target, atLeast: number): Buffer {
  const one = writeRequest(target.region('page').address, Buffer.alloc(64, 0xee))
  return Buffer.concat(Array.from({ length: Math.ceil(atLeast / one.byteLength) }, () => one))
}

test.serial('an unmatched message that is a valid WRITE is a message: the native wire keeps, then drops it', async (t) => {
  const payload = loaded(t.context, 1)
  const lane = await RawConnection.native(t.context.port)
  lane.write(Buffer.concat([sendRequest(9, payload), header(PING, 0, 0)]))
  t.deepEqual(await lane.takeStatus(), { sequence: 1, status: OK }, 'later requests do not wait for it')
  await isUnchanged(t, t.context, 'a message in waiting')
  t.deepEqual(await lane.takeStatus(PATIENCE_MS), { sequence: 0, status: NO_RECEIVE })
  lane.write(header(PING, 0, 0))
  t.deepEqual(await lane.takeStatus(), { sequence: 2, status: OK })
  lane.destroy()
  await isUnchanged(t, t.context, 'a dropped message')
  t.true((await t.context.refusals()) > 0)
  await serves(t, t.context, 'a dropped message')
})

test.serial('an unmatched message that is a valid WRITE is a message: the legacy wire keeps, then ends', async (t) => {
  const payload = loaded(t.context, 1)
  const { address, bytes } = t.context.region('odd')
  const connection = await RawConnection.open(t.context.port)
  connection.write(Buffer.concat([sendRequest(0, payload), header(READ, 8, address)]))
  t.deepEqual(await connection.take(8), bytes.subarray(0, 8), 'later requests do not wait for it')
  t.is((await connection.rest(PATIENCE_MS)).byteLength, 0)
  await isUnchanged(t, t.context, 'a dropped message')
  t.true((await t.context.refusals()) > 0)
  await serves(t, t.context, 'a dropped message')
})

test.serial('a kept message of either wire is given to the next receive, byte for byte', async (t) => {
  const payload = loaded(t.context, 1)
  const lane = await RawConnection.native(t.context.port)
  lane.write(Buffer.concat([sendRequest(9, payload), header(PING, 0, 0)]))
  t.deepEqual(await lane.takeStatus(), { sequence: 1, status: OK })
  const receive = await t.context.recv(payload.byteLength)
  t.deepEqual(await t.context.received(receive), { bytes: 81, messageBytes: 81, tag: '9', truncated: false, data: payload })
  t.deepEqual(await lane.takeStatus(), { sequence: 0, status: OK })
  lane.destroy()

  const legacy = await RawConnection.open(t.context.port)
  legacy.write(sendRequest(0, payload))
  const other = await t.context.recv(payload.byteLength)
  t.deepEqual((await t.context.received(other))?.data, payload)
  legacy.destroy()
  await isUnchanged(t, t.context, 'kept messages')
})

for (const wire of ['native', 'legacy'] as const) {
  test.serial(`${wire}: an unmatched message larger than what is kept is never parsed, whatever is in it`, async (t) => {
    for (const size of [LIMITS.maxUnexpectedBytes + 1, 2 * LIMITS.drainBytes]) {
      const payload = loaded(t.context, size)
      const connection = wire === 'native' ? await RawConnection.native(t.context.port) : await RawConnection.open(t.context.port)
      connection.write(Buffer.concat([header(SEND, payload.byteLength, 0), payload]))
      await serves(t, t.context, 'while a large message waits')
      if (wire === 'native') {
        t.deepEqual(await connection.takeStatus(PATIENCE_MS), { sequence: 0, status: NO_RECEIVE })
        connection.end()
      }
      t.is((await connection.rest(PATIENCE_MS)).byteLength, 0)
      await isUnchanged(t, t.context, `${payload.byteLength} bytes of WRITE requests`)
    }
    t.true((await t.context.refusals()) > 0)
    await serves(t, t.context, 'large messages')
  })

  test.serial(`${wire}: a message cut off in its body gives its receive back`, async (t) => {
    const receive = await t.context.recv(64)
    const cut = wire === 'native' ? await RawConnection.native(t.context.port) : await RawConnection.open(t.context.port)
    cut.write(Buffer.concat([header(SEND, 64, 0), Buffer.alloc(63, 0xee)]))
    cut.end()
    t.is((await cut.rest()).byteLength, 0)
    const whole = await RawConnection.open(t.context.port)
    whole.write(sendRequest(0, Buffer.from('the next message')))
    t.like(await t.context.received(receive), { bytes: 16, messageBytes: 16, truncated: false })
    whole.destroy()
  })

  test.serial(`${wire}: messages of slot - 1, slot and slot + 1 bytes, and then one more, are told apart`, async (t) => {
    const slot = 1000
    for (const size of [slot - 1, slot, slot + 1]) {
      const receive = await t.context.recv(slot)
      const following = await t.context.recv(slot)
      const payload = pattern(`${seed}/message`, size)
      const connection = wire === 'native' ? await RawConnection.native(t.context.port) : await RawConnection.open(t.context.port)
      connection.write(Buffer.concat([sendRequest(0, payload), sendRequest(0, Buffer.from('next'))]))
      const bytes = Math.min(size, slot)
      const expected = { bytes, messageBytes: size, tag: '0', truncated: size > slot, data: payload.subarray(0, bytes) }
      t.deepEqual(await t.context.received(receive), expected)
      t.deepEqual((await t.context.received(following))?.data, Buffer.from('next'))
      if (wire === 'native') {
        t.deepEqual(await connection.takeStatus(), { sequence: 0, status: size > slot ? MESSAGE_SIZE : OK })
        t.deepEqual(await connection.takeStatus(), { sequence: 1, status: OK })
      }
      connection.destroy()
    }
  })
}

test.serial('a message of 1 GiB announced for a receive of 1 KiB ends its lane, and the receive is spent or waits for the next', async (t) => {
  const receive = await t.context.recv(1024)
  const lane = await RawConnection.native(t.context.port)
  lane.write(Buffer.concat([header(SEND, 2 ** 30, 0), Buffer.alloc(1 << 16, 0xee)]))
  await serves(t, t.context, 'while a message of 1 GiB is announced')
  lane.end()
  await lane.rest(PATIENCE_MS + 2_000)
  const whole = await RawConnection.open(t.context.port)
  whole.write(sendRequest(0, Buffer.from('the next message')))
  const outcome = await t.context.received(receive).catch((error: { code?: string }) => error.code)
  if (outcome !== null && typeof outcome === 'object') t.true(outcome.truncated || outcome.data.equals(Buffer.from('the next message')))
  else t.is(outcome, 'ERR_MESSAGE_SIZE')
  whole.destroy()
  await isUnchanged(t, t.context, 'a message of 1 GiB')
})

test.serial('a receive that was cancelled takes no message', async (t) => {
  const cancelled = await t.context.recv(64)
  await t.context.cancel(cancelled)
  await t.throwsAsync(t.context.received(cancelled), { code: 'ERR_ABORTED' })
  const receive = await t.context.recv(64)
  const lane = await RawConnection.native(t.context.port)
  lane.write(sendRequest(3, Buffer.from('message')))
  t.like(await t.context.received(receive), { bytes: 7, tag: '3' })
  t.deepEqual(await lane.takeStatus(), { sequence: 0, status: OK })
  lane.destroy()
})

test.serial('tags choose among receives, and a tag above 2^53 arrives whole', async (t) => {
  const seven = await t.context.recv(64, { tag: 7 })
  const any = await t.context.recv(64)
  const lane = await RawConnection.native(t.context.port)
  lane.write(Buffer.concat([sendRequest(2n ** 64n - 1n, Buffer.from('large')), sendRequest(7, Buffer.from('seven'))]))
  t.like(await t.context.received(any), { tag: String(2n ** 64n - 1n), bytes: 5 })
  t.deepEqual((await t.context.received(seven))?.data, Buffer.from('seven'))
  lane.destroy()
})
