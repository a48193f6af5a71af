import { sha256 } from '../support/raw-random'
import { bytesOf, content, contentKey, eventually, refusals, type WheelPeer, withWheel } from './support'

const WHEELS = 8
const BYTES = 300_000
const MESSAGE_BYTES = 5000
const ROUNDS = 5

/** Bytes that nobody else has: one key for each wheel, purpose and round. */
const key = (wheel: number, what: string, round: number) => `crowd ${wheel} ${what} ${round}`
const bytes = (wheel: number, what: string, round: number, length = BYTES) => content(key(wheel, what, round), length)

/** Every wheel does the same at once. */
function all<T>(wheels: WheelPeer[], task: (wheel: WheelPeer, index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(wheels.map(task))
}

const numbered = (name: string, index: number) => `${name} ${index}`

withWheel('eight wheels read, write and send to one endpoint at once, and each has its own bytes', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheels = await Promise.all(Array.from({ length: WHEELS }, () => rig.wheel()))
  const regions = [...Array(WHEELS).keys()].map((index) => ({
    weights: endpoint.alloc(numbered('facts', index), BYTES, { access: 'read' }),
    inbox: endpoint.alloc(numbered('slot', index), BYTES, { access: 'write' }),
  }))
  await all(wheels, async (wheel) => {
    await wheel.region('read', BYTES)
    await wheel.region('written', BYTES)
    await wheel.region('sent', MESSAGE_BYTES)
  })
  await all(wheels, (wheel) => rig.rendezvous(endpoint, wheel))

  for (let round = 0; round < ROUNDS; round++) {
    const receives = Array.from({ length: WHEELS }, () => endpoint.recv(new Uint8Array(MESSAGE_BYTES)))
    for (const [index, { weights }] of regions.entries()) bytesOf(weights).set(bytes(index, 'weights', round))
    await all(wheels, async (wheel, index) => {
      await wheel.fill('written', contentKey(key(index, 'written', round)), BYTES)
      await wheel.fill('sent', contentKey(key(index, 'sent', round)), MESSAGE_BYTES)
    })
    const statuses = await all(wheels, async (wheel, index) => {
      const whole = { remoteOffset: 0, localOffset: 0, length: BYTES }
      const started = await Promise.all([
        wheel.read([{ local: 'read', remote: numbered('facts', index), ...whole }]),
        wheel.write([{ local: 'written', remote: numbered('slot', index), ...whole }]),
        wheel.send('sent', 0, MESSAGE_BYTES),
      ])
      return Promise.all(started.map((future) => wheel.settle(future)))
    })
    t.deepEqual(statuses, Array.from({ length: WHEELS }, () => [0, 0, 0]), `round ${round}`)
    await all(wheels, async (wheel, index) => {
      t.is(await wheel.sha256('read', 0, BYTES), sha256(bytes(index, 'weights', round)), `wheel ${index} round ${round}`)
    })
    // A write is not answered on this wire: its success says only that the bytes have left the wheel.
    for (const [index, { inbox }] of regions.entries()) {
      const expected = sha256(bytes(index, 'written', round))
      const arrived = await eventually(() => sha256(inbox.copyOut()), (digest) => digest === expected)
      t.is(arrived, expected, `from wheel ${index} round ${round}`)
    }
    // Whose message comes first is nobody's promise; each comes once, and whole.
    const came = (await Promise.all(receives)).map(({ data, truncated }) => `${sha256(data)} ${truncated}`)
    const expected = [...Array(WHEELS).keys()].map((index) => `${sha256(bytes(index, 'sent', round, MESSAGE_BYTES))} false`)
    t.deepEqual(came.sort(), expected.sort(), `round ${round}`)
  }
  t.true((await all(wheels, (wheel) => wheel.intact())).every(Boolean))
  t.is(refusals(endpoint), 0)
})

withWheel('one endpoint reads from, writes to and sends to eight wheels at once, and nothing crosses over', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheels = await Promise.all(Array.from({ length: WHEELS }, () => rig.wheel()))
  // Every wheel has the same names: only the connection tells them apart.
  await all(wheels, async (wheel) => {
    await wheel.region('weights', BYTES)
    await wheel.region('inbox', BYTES)
    await wheel.region('received', MESSAGE_BYTES)
  })
  const peers = await all(wheels, (wheel) => rig.rendezvous(endpoint, wheel))
  const scratch = wheels.map((_, index) => endpoint.alloc(numbered('scratch', index), BYTES))

  for (let round = 0; round < ROUNDS; round++) {
    const receives = await all(wheels, async (wheel, index) => {
      await wheel.fill('weights', contentKey(key(index, 'weights', round)), BYTES)
      return wheel.recv('received', 0, MESSAGE_BYTES)
    })
    const read = await Promise.all(
      peers.map(async (peer, index) => {
        const [bytesRead, view] = await Promise.all([
          peer.read('weights', { into: scratch[index]! }),
          peer.read('weights', { remoteOffset: index, length: BYTES / 2 }),
          peer.write('inbox', bytes(index, 'written', round)),
          peer.send(bytes(index, 'sent', round, MESSAGE_BYTES)),
        ])
        return { bytesRead, view }
      }),
    )
    for (const [index, { bytesRead, view }] of read.entries()) {
      const expected = bytes(index, 'weights', round)
      t.is(bytesRead, BYTES)
      t.is(sha256(scratch[index]!.copyOut()), sha256(expected), `from wheel ${index} round ${round}`)
      t.is(sha256(view), sha256(expected.subarray(index, index + BYTES / 2)), `from wheel ${index} round ${round}`)
    }
    await all(wheels, async (wheel, index) => {
      t.is(await wheel.settle(receives[index]!), 0)
      t.is(await wheel.sha256('received', 0, MESSAGE_BYTES), sha256(bytes(index, 'sent', round, MESSAGE_BYTES)), `to wheel ${index}`)
      const expected = sha256(bytes(index, 'written', round))
      const arrived = await eventually(() => wheel.sha256('inbox', 0, BYTES), (digest) => digest === expected)
      t.is(arrived, expected, `to wheel ${index} round ${round}`)
    })
  }
  t.true((await all(wheels, (wheel) => wheel.intact())).every(Boolean))
  t.is(endpoint.stats().operations.failed, 0)
})
