import { sha256 } from '../support/raw-random'
import { bytesOf, content, contentKey, eventually, withWheel } from './support'

// The cases with which DLSlime's own TcpEndpoint was introduced, each with memlane in one of the two seats.

withWheel('send and receive: hello one way, world the other', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('buffer', 128)
  const peer = await rig.rendezvous(endpoint, wheel)

  const theirs = await wheel.recv('buffer', 0, 5)
  await peer.send(Buffer.from('hello'))
  t.is(await wheel.wait(theirs), 0)
  t.is(await wheel.sha256('buffer', 0, 5), sha256(Buffer.from('hello')))

  const ours = endpoint.recv(new Uint8Array(5))
  t.is(await wheel.wait(await wheel.send('buffer', 0, 5)), 0)
  t.is(Buffer.from((await ours).data).toString(), 'hello')
})

withWheel('write and read: each side writes into the other and reads it back', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const ours = endpoint.alloc('a', 256, { access: 'readwrite' })
  const wheel = await rig.wheel()
  await wheel.region('b', 256)
  const peer = await rig.rendezvous(endpoint, wheel)

  await peer.write('b', Buffer.from('hello_from_a'), { remoteOffset: 30 })
  t.is(Buffer.from(await peer.read('b', { remoteOffset: 30, length: 12 })).toString(), 'hello_from_a')

  await wheel.fill('b', contentKey('b'), 256)
  const write = await wheel.write([{ local: 'b', remote: 'a', remoteOffset: 0, localOffset: 0, length: 256 }])
  t.is(await wheel.wait(write), 0)
  const expected = sha256(content('b', 256))
  t.is(await eventually(() => sha256(ours.copyOut(0, 256)), (digest) => digest === expected), expected)
  bytesOf(ours).set(content('a', 256))
  const read = await wheel.read([{ local: 'b', remote: 'a', remoteOffset: 0, localOffset: 0, length: 256 }])
  t.is(await wheel.wait(read), 0)
  t.is(await wheel.sha256('b', 0, 256), sha256(content('a', 256)))
})

withWheel('receive timeout: waitFor(0.3) gives null, the receive stays posted and a later message completes it', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('buffer', 32)
  await wheel.fill('buffer', contentKey('late'), 32)
  const peer = await rig.rendezvous(endpoint, wheel)

  const ours = endpoint.recv(new Uint8Array(5))
  const before = performance.now()
  t.is(await ours.waitFor(0.3), null)
  t.true(performance.now() - before >= 290)
  await wheel.send('buffer', 0, 5)
  const message = await ours.waitFor(10)
  t.like(message, { bytes: 5, truncated: false })
  t.deepEqual(Buffer.from(message!.data), content('late', 32).subarray(0, 5))

  const theirs = await wheel.recv('buffer', 0, 5)
  t.is(await wheel.waitFor(theirs, 0.3), null)
  await peer.send(Buffer.from('later'))
  t.is(await wheel.settle(theirs), 0)
  t.is(await wheel.sha256('buffer', 0, 5), sha256(Buffer.from('later')))
})

withWheel('send timeout: a send within its deadline succeeds, one into a halted peer ends with ERR_TIMEOUT', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('buffer', 64)
  const peer = await rig.rendezvous(endpoint, wheel)

  const theirs = await wheel.recv('buffer', 0, 5)
  t.is(await peer.send(Buffer.from('world'), { timeoutMs: 10_000 }), 5)
  t.is(await wheel.settle(theirs), 0)
  const ours = endpoint.recv(new Uint8Array(5))
  t.is(await wheel.settle(await wheel.send('buffer', 0, 5, { timeoutMs: 10_000 })), 0)
  t.is((await ours).bytes, 5)

  await wheel.suspend()
  try {
    const before = performance.now()
    // Larger than what both kernels hold for a process that does not read.
    await t.throwsAsync(async () => peer.send(Buffer.alloc(64 << 20), { timeoutMs: 300 }), { code: 'ERR_TIMEOUT' })
    t.true(performance.now() - before < 5_000)
  } finally {
    wheel.resume()
  }
  t.is(endpoint.stats().operations.timedOut, 1)
})

withWheel('read timeout: a read from a halted peer ends with ERR_TIMEOUT, and the next one works', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('kv', 4096)
  await wheel.fill('kv', contentKey('kv'), 4096)
  const peer = await rig.rendezvous(endpoint, wheel)
  await wheel.suspend()
  try {
    await t.throwsAsync(async () => peer.read('kv', { timeoutMs: 300 }), { code: 'ERR_TIMEOUT' })
  } finally {
    wheel.resume()
  }
  t.is(sha256(await peer.read('kv')), sha256(content('kv', 4096)))
})

withWheel('default timeout: operations without one succeed within the default of either side', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('buffer', 32)
  const peer = await rig.rendezvous(endpoint, wheel)

  const theirs = await wheel.recv('buffer', 0, 5)
  t.is(await peer.send(Buffer.from('test!')), 5)
  t.is(await wheel.wait(theirs), 0)
  const ours = endpoint.recv(new Uint8Array(5))
  t.is(await wheel.wait(await wheel.send('buffer', 0, 5)), 0)
  t.is(Buffer.from((await ours).data).toString(), 'test!')
})
