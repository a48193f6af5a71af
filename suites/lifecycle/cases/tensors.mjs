/** Tensors of every type are published, read whole and in rows, as the arrays that this runtime has: not every one has a Float16Array. */
import { createRequire } from 'node:module'
import { check, passed, settings, url } from '../support.mjs'

const { DTYPES, TcpEndpoint } = createRequire(import.meta.url)('../../../dist/index.js')
const Half = globalThis.Float16Array
const ROWS = 6

const target = await TcpEndpoint.listen()
const endpoint = await TcpEndpoint.listen()
const peer = await endpoint.connect(url(target))
const bits = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)
let tensors = 0

for (let round = 0; round < settings.rounds; round++) {
  for (const dtype of DTYPES) {
    const made = target.alloc('made', { dtype, shape: [ROWS, 4] })
    new Uint8Array(made.buffer).forEach((_, index, bytes) => (bytes[index] = index * 7 + round))
    const region = target.publish(dtype, { data: made.typed(), dtype, shape: [ROWS, 4] })
    const whole = await peer.readTensor(dtype)
    check(whole.data.constructor === made.typed().constructor, `${dtype} came as ${whole.data.constructor.name}`)
    check(bits(whole.data).equals(bits(made.typed())), `${dtype} came with other bits`)
    const part = await peer.readTensor(dtype, { rows: [2, 5] })
    check(`${part.shape}` === '3,4' && bits(part.data).equals(bits(whole.data).subarray(2 * (made.length / ROWS), 5 * (made.length / ROWS))), `rows of ${dtype} are others`)
    await Promise.all([made.close(), region.close()])
    tensors += 2
  }
}

// A half is a number where the runtime has an array for it, and its bits everywhere.
const region = target.publish('bits', { data: Uint16Array.of(0x3c00, 0xc000), dtype: 'float16' })
const { data } = await peer.readTensor('bits')
check(data.constructor === (Half ?? Uint16Array), `float16 is ${data.constructor.name}`)
check(`${data}` === (Half === undefined ? '15360,49152' : '1,-2'), `halves are ${data}`)
if (Half !== undefined) {
  const halves = target.publish('halves', Half.of(0.5, 65504))
  check(halves.dtype === 'float16' && halves.length === 4 && `${(await peer.readTensor('halves')).data}` === '0.5,65504', 'halves were not published as such')
  const into = Half.of(0, 0)
  check((await peer.readTensor('bits', { into })).data === into && `${into}` === '1,-2', 'halves were not read into their array')
}
const into = new Uint16Array(2)
await peer.readTensor('bits', { into })
check(`${into}` === '15360,49152' && region.dtype === 'float16', 'the bits of halves are others')
await endpoint.close()
await target.close()
passed(`${tensors} tensors of ${DTYPES.length} types; float16 is ${Half === undefined ? 'its bits' : 'a Float16Array'}`)
