import { Random, sha256 } from '../support/raw-random'
import { bytesOf, content, contentKey, eventually, patched, refusals, SIZES, withWheel } from './support'

// Room beside every range, so that a byte too many shows.
const MARGIN = 8192

/** One region per size: `name size`, as long as the range and its margin. */
function perSize<T>(name: string, make: (name: string, length: number, size: number) => T): T[] {
  return SIZES.map((size) => make(`${name} ${size}`, size + MARGIN, size))
}

withWheel('the wheel reads ranges of every size out of memlane, and nothing beside them', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  perSize('weights', (name, length) => bytesOf(endpoint.alloc(name, length, { access: 'read' })).set(content(name, length)))
  await Promise.all(perSize('scratch', (name, length) => wheel.region(name, length)))
  await rig.rendezvous(endpoint, wheel)
  const offsets = new Random('wheel reads')
  for (const length of SIZES) {
    const [local, remote, total] = [`scratch ${length}`, `weights ${length}`, length + MARGIN]
    const [remoteOffset, localOffset] = [offsets.below(MARGIN), offsets.below(MARGIN)]
    await wheel.fill(local, contentKey('before'), total)
    t.is(await wheel.settle(await wheel.read([{ local, remote, remoteOffset, localOffset, length }])), 0, `${length} bytes`)
    const part = content(remote, total).subarray(remoteOffset, remoteOffset + length)
    t.is(await wheel.sha256(local, 0, total), sha256(patched(content('before', total), localOffset, part)), `${length} bytes`)
  }
  t.true(await wheel.intact())
  t.is(endpoint.stats().operations.failed, 0)
  t.is(refusals(endpoint), 0)
})

withWheel('the wheel writes ranges of every size into memlane, and nothing beside them', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  const inboxes = perSize('inbox', (name, length) => endpoint.alloc(name, length, { access: 'write' }))
  await Promise.all(perSize('source', (name, length) => wheel.region(name, length)))
  await rig.rendezvous(endpoint, wheel)
  const offsets = new Random('wheel writes')
  for (const [i, length] of SIZES.entries()) {
    const [local, remote, total] = [`source ${length}`, `inbox ${length}`, length + MARGIN]
    const [remoteOffset, localOffset] = [offsets.below(MARGIN), offsets.below(MARGIN)]
    const inbox = inboxes[i]!
    const before = content('before', total)
    bytesOf(inbox).set(before)
    await wheel.fill(local, contentKey(local), total)
    t.is(await wheel.settle(await wheel.write([{ local, remote, remoteOffset, localOffset, length }])), 0, `${length} bytes`)
    const expected = sha256(patched(before, remoteOffset, content(local, total).subarray(localOffset, localOffset + length)))
    // The wheel's success says only that the bytes left it.
    const arrived = await eventually(
      () => sha256(inbox.copyOut(0, total)),
      (digest) => digest === expected,
    )
    t.is(arrived, expected, `${length} bytes`)
  }
})

withWheel('a batch of the wheel reads many pieces, each over a connection of its own', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const weights = endpoint.alloc('weights', 1 << 20, { access: 'read' })
  const source = content('batch', 1 << 20)
  bytesOf(weights).set(source)
  const wheel = await rig.wheel()
  await wheel.region('scratch', 1 << 20)
  await rig.rendezvous(endpoint, wheel)
  const random = new Random('batch')
  const piece = (1 << 20) / 16
  const expected = Buffer.alloc(1 << 20)
  const assignments = Array.from({ length: 16 }, (_, i) => {
    const length = 1 + random.below(piece)
    const remoteOffset = random.below((1 << 20) - length)
    source.copy(expected, i * piece, remoteOffset, remoteOffset + length)
    return { local: 'scratch', remote: 'weights', remoteOffset, localOffset: i * piece, length }
  })
  t.is(await wheel.settle(await wheel.read(assignments)), 0)
  t.is(await wheel.sha256('scratch', 0, 1 << 20), sha256(expected))
})

withWheel('memlane reads ranges of every size from the wheel: staged, into a region and into a view', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await Promise.all(perSize('kv', (name, length) => wheel.region(name, length)))
  await Promise.all(perSize('kv', (name, length) => wheel.fill(name, contentKey(name), length)))
  const scratches = perSize('scratch', (name, length) => endpoint.alloc(name, length))
  const peer = await rig.rendezvous(endpoint, wheel)
  const offsets = new Random('memlane reads')
  for (const [i, length] of SIZES.entries()) {
    const [remote, total] = [`kv ${length}`, length + MARGIN]
    const [remoteOffset, intoOffset] = [offsets.below(MARGIN), offsets.below(MARGIN)]
    const source = content(remote, total)
    const part = source.subarray(remoteOffset, remoteOffset + length)
    const staged = await peer.read(remote, { remoteOffset, length })
    t.is(staged.byteLength, length)
    t.is(sha256(staged), sha256(part), `staged, ${length} bytes`)

    const before = content('before', total)
    const expected = sha256(patched(before, intoOffset, part))
    const into = scratches[i]!
    bytesOf(into).set(before)
    t.is(await peer.read(remote, { remoteOffset, length, into, intoOffset }), length)
    t.is(sha256(bytesOf(into)), expected, `into a region, ${length} bytes`)

    const view = Buffer.from(before)
    t.is(await peer.read(remote, { remoteOffset, length, into: view, intoOffset }), length)
    t.is(sha256(view), expected, `into a view, ${length} bytes`)
    t.is(sha256(await peer.read(remote)), sha256(source), 'the whole region')
  }
  t.true(await wheel.intact())
})

withWheel('memlane writes ranges of every size to the wheel: from a view and from a region', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await Promise.all(perSize('inbox', (name, length) => wheel.region(name, length)))
  const stagings = perSize('staging', (name, length) => endpoint.alloc(name, length))
  const peer = await rig.rendezvous(endpoint, wheel)
  const offsets = new Random('memlane writes')
  for (const [i, length] of SIZES.entries()) {
    const [remote, total] = [`inbox ${length}`, length + MARGIN]
    const source = content(`staging ${length}`, total)
    bytesOf(stagings[i]!).set(source)
    for (const from of ['view', 'region'] as const) {
      const [remoteOffset, sourceOffset] = [offsets.below(MARGIN), offsets.below(MARGIN)]
      await wheel.fill(remote, contentKey('before'), total)
      t.is(await peer.write(remote, from === 'view' ? source : stagings[i]!, { remoteOffset, sourceOffset, length }), length)
      const part = source.subarray(sourceOffset, sourceOffset + length)
      const expected = sha256(patched(content('before', total), remoteOffset, part))
      // Nothing on this wire acknowledges a write.
      const seen = await eventually(
        () => wheel.sha256(remote, 0, total),
        (digest) => digest === expected,
      )
      t.is(seen, expected, `from a ${from}, ${length} bytes`)
    }
  }
  t.true(await wheel.intact())
})

withWheel('reads that memlane pipelines to the wheel each get their own bytes', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('kv', 1 << 20)
  await wheel.fill('kv', contentKey('kv'), 1 << 20)
  const source = content('kv', 1 << 20)
  const peer = await rig.rendezvous(endpoint, wheel)
  const random = new Random('pipelined')
  const ranges = Array.from({ length: 200 }, () => {
    const length = 1 + random.below(8192)
    return { remoteOffset: random.below((1 << 20) - length), length }
  })
  const parts = await Promise.all(ranges.map((range) => peer.read('kv', range)))
  ranges.forEach(({ remoteOffset, length }, i) =>
    t.is(sha256(parts[i]!), sha256(source.subarray(remoteOffset, remoteOffset + length)), `read ${i}`),
  )
})

withWheel('reads and writes of nothing end at once and touch neither side', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('kv', 4096)
  await wheel.fill('kv', contentKey('kv'), 4096)
  const peer = await rig.rendezvous(endpoint, wheel)
  t.is((await peer.read('kv', { remoteOffset: 17, length: 0 })).byteLength, 0)
  t.is(await peer.write('kv', new Uint8Array(0), { remoteOffset: 17 }), 0)
  t.is(sha256(await peer.read('kv')), sha256(content('kv', 4096)))
})
