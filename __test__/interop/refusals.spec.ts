import type { ExecutionContext } from 'ava'
import type { TcpEndpoint } from 'memlane'
import { sha256 } from '../support/raw-random'
import { bytesOf, content, contentKey, eventually, refusals, type Rig, type WheelPeer, withWheel } from './support'

const LENGTH = 5003

interface Scene {
  endpoint: TcpEndpoint
  wheel: WheelPeer
}

/** Regions of every right in memlane, and a wheel that knows them all, the unlisted one too. */
async function scene(rig: Rig): Promise<Scene> {
  const endpoint = await rig.endpoint()
  const listed = ['read', 'write', 'readwrite'] as const
  const regions = ([...listed, 'none'] as const).map((access) => {
    const region = endpoint.alloc(access, LENGTH, { access })
    bytesOf(region).set(content(access, LENGTH))
    return region
  })
  const wheel = await rig.wheel()
  await wheel.region('scratch', 1 << 20)
  await wheel.fill('scratch', contentKey('scratch'), 1 << 20)
  const info = JSON.parse(JSON.stringify(endpoint.endpointInfo()))
  for (const region of regions) info.mr_info[region.name] = { addr: region.address, length: region.length }
  await wheel.connect(info)
  return { endpoint, wheel }
}

/** memlane refused one more request, gave nothing away, and serves the wheel's next request. */
async function refusedAndServes(t: ExecutionContext, { endpoint, wheel }: Scene, before: number, what: string): Promise<void> {
  t.true((await eventually(() => refusals(endpoint), (now) => now > before)) > before, `${what}: counted`)
  t.is(await wheel.sha256('scratch', 0, 1 << 20), sha256(content('scratch', 1 << 20)), `${what}: not a byte came`)
  const read = await wheel.read([{ local: 'scratch', remote: 'read', remoteOffset: 3, localOffset: 0, length: 5000 }])
  t.is(await wheel.settle(read), 0, `${what}: the next read is served`)
  t.is(await wheel.sha256('scratch', 0, 5000), sha256(content('read', LENGTH).subarray(3)), what)
  await wheel.fill('scratch', contentKey('scratch'), 1 << 20)
}

withWheel('a read of the wheel outside what it may read gets nothing, is counted, and the next one is served', async (t, rig) => {
  const at = await scene(rig)
  const cases: [remote: string, remoteOffset: number, length: number, what: string][] = [
    ['read', 0, LENGTH + 1, 'one byte past the end'],
    ['read', LENGTH - 1, 2, 'across the end'],
    ['read', LENGTH, 1, 'at the end'],
    ['read', 1 << 20, 4096, 'beyond the guard space'],
    ['read', 0, 1 << 20, 'far longer than the region'],
    ['write', 0, 16, 'of a region that may only be written'],
    ['none', 0, 16, 'of a region without rights'],
  ]
  for (const [remote, remoteOffset, length, what] of cases) {
    const before = refusals(at.endpoint)
    await at.wheel.read([{ local: 'scratch', remote, remoteOffset, localOffset: 0, length }])
    await refusedAndServes(t, at, before, `read ${what}`)
  }
  t.true(await at.wheel.intact())
})

withWheel('a write of the wheel outside what it may write changes nothing, is counted, and the next request is served', async (t, rig) => {
  const at = await scene(rig)
  const cases: [remote: string, remoteOffset: number, length: number, what: string][] = [
    ['readwrite', 0, LENGTH + 1, 'one byte past the end'],
    ['readwrite', LENGTH - 1, 2, 'across the end'],
    ['readwrite', LENGTH, 1, 'at the end'],
    ['readwrite', 0, 1 << 20, 'far longer than the region'],
    ['read', 0, 16, 'of a region that may only be read'],
    ['none', 0, 16, 'of a region without rights'],
  ]
  for (const [remote, remoteOffset, length, what] of cases) {
    const before = refusals(at.endpoint)
    await at.wheel.write([{ local: 'scratch', remote, remoteOffset, localOffset: 0, length }])
    await refusedAndServes(t, at, before, `write ${what}`)
  }
  t.true(await at.wheel.intact())
})

withWheel('a wheel that kept the address of a closed region reads nothing, even when its name lives again', async (t, rig) => {
  const at = await scene(rig)
  const stale = at.endpoint.alloc('stale', LENGTH, { access: 'read' })
  bytesOf(stale).set(content('first life', LENGTH))
  await at.wheel.connect(JSON.parse(JSON.stringify(at.endpoint.endpointInfo())))
  await stale.close()
  bytesOf(at.endpoint.alloc('stale', LENGTH, { access: 'read' })).set(content('second life', LENGTH))
  const before = refusals(at.endpoint)
  await at.wheel.read([{ local: 'scratch', remote: 'stale', remoteOffset: 0, localOffset: 0, length: 100 }])
  await refusedAndServes(t, at, before, 'read of an earlier address')
})

withWheel('memlane refuses by itself what lies outside a region of the wheel, which would not', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('kv', LENGTH)
  await wheel.fill('kv', contentKey('kv'), LENGTH)
  const peer = await rig.rendezvous(endpoint, wheel)
  for (const [remoteOffset, length] of [[0, LENGTH + 1], [LENGTH, 1], [LENGTH - 1, 2]] as const) {
    await t.throwsAsync(async () => peer.read('kv', { remoteOffset, length }), { code: 'ERR_OUT_OF_RANGE' })
    await t.throwsAsync(async () => peer.write('kv', Buffer.alloc(length), { remoteOffset }), { code: 'ERR_OUT_OF_RANGE' })
  }
  await t.throwsAsync(async () => peer.read('no such name'), { code: 'ERR_REGION_NOT_FOUND' })
  t.is(sha256(await peer.read('kv')), sha256(content('kv', LENGTH)))
  t.true(await wheel.intact())
})

withWheel('a wheel that dies under a read fails it with ERR_PEER_CLOSED, and the endpoint lives on', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  await wheel.region('kv', 4096)
  const peer = await rig.rendezvous(endpoint, wheel)
  await wheel.suspend()
  const read = peer.read('kv')
  await wheel.crash()
  await t.throwsAsync(async () => read, { code: 'ERR_PEER_CLOSED' })

  const next = await rig.wheel()
  await next.region('kv', 4096)
  await next.fill('kv', contentKey('kv'), 4096)
  const again = await rig.rendezvous(endpoint, next)
  t.is(sha256(await again.read('kv')), sha256(content('kv', 4096)))
})
