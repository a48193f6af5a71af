import { readFileSync } from 'node:fs'
import test from 'ava'
import { onLinux } from './support/linux'
import { endpoint, thrown, url } from './support/pair'

const MANY = 40_000

function mappings(): number {
  return readFileSync('/proc/self/maps', 'utf8').split('\n').length
}

const counted = onLinux(test, 'how many mappings there are is read from /proc')

counted('forty thousand regions are made, found by name, read and written apart, and closed', async (t) => {
  const options = { maxInfoBytes: 16 << 20 }
  const [target, initiator] = await Promise.all([endpoint(t, options), endpoint(t, options)])
  const before = mappings()
  const regions = Array.from({ length: MANY }, (_, index) => target.alloc(`region ${index}`, 1 + (index % 300), { access: 'readwrite' }))
  t.true(mappings() - before < MANY / 10, 'they share mappings: a process may have some 65,000')
  const peer = await initiator.connect(url(target))
  t.is(peer.regions.size, MANY)

  const chosen = [0, 1, 2, 299, 300, 20_000, 20_001, MANY - 1]
  await Promise.all(chosen.map((index) => peer.write(`region ${index}`, new Uint8Array(1 + (index % 300)).fill((index % 250) + 1))))
  for (const index of chosen) {
    const bytes = new Uint8Array(1 + (index % 300)).fill((index % 250) + 1)
    t.deepEqual(await peer.read(`region ${index}`), bytes)
    t.deepEqual(new Uint8Array(regions[index]?.buffer ?? new ArrayBuffer(0)), bytes, 'a view has the region and nothing else')
  }
  for (const index of [3, 298, 301, 19_999, 20_002]) {
    t.true((await peer.read(`region ${index}`)).every((byte) => byte === 0), 'what was written reached no neighbour')
  }
  t.is(thrown(() => peer.read('region 5', { length: 7 })).code, 'ERR_OUT_OF_RANGE')

  const view = new Uint8Array(regions[300]?.buffer ?? new ArrayBuffer(0))
  await regions[300]?.close()
  await t.throwsAsync(peer.read('region 300').wait(), { code: 'ERR_REGION_NOT_FOUND' })
  const again = Array.from({ length: 100 }, (_, index) => target.alloc(`again ${index}`, 1))
  t.deepEqual([...view], [51], 'the view of a closed region keeps its memory to itself')
  for (const region of again) t.deepEqual([...region.copyOut()], [0], 'memory is zeroed whoever had it')
  await target.close()
})
