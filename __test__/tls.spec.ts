import test from 'ava'
import { authority, issue } from './support/certificates'
import { counting, pair, same } from './support/pair'

const FLEET = authority('fleet')
const tls = { ...issue(FLEET), ca: FLEET.cert }
const SIZES = [0, 1, 16_383, 16_384, 16_385, 1 << 20, 64 << 20]

test('what is read and written over TLS arrives as it was, whatever its size', async (t) => {
  const { target, initiator, peer } = await pair(t, { tls })
  for (const size of SIZES) {
    const remote = target.alloc(`r${size}`, size + 1, { access: 'readwrite' })
    const local = initiator.alloc(`l${size}`, size + 1)
    const bytes = counting(size)
    new Uint8Array(local.buffer!).set(bytes)
    await peer.write(`r${size}`, local, { length: size })
    same(t, new Uint8Array(remote.buffer!, 0, size), bytes, `${size} bytes written`)
    same(t, await peer.read(`r${size}`, { length: size }), bytes, `${size} bytes read`)
  }
})
