/** The two halves of the hand-over by memlane: crops go into memory of the other process, whose JavaScript may be blocked. */
import { once } from 'node:events'

import { TcpEndpoint } from 'memlane'

import { CROP_ELEMENTS, CROP_SHAPE, MAX_CROPS } from './crop.mjs'

const PAGE_BYTES = MAX_CROPS * CROP_ELEMENTS * Float32Array.BYTES_PER_ELEMENT

/** In the process that detects. `child` is the other one; messages over its channel say where each listens, nothing else. */
export async function sender(child, slots, { onAnswer, onTrouble }) {
  const endpoint = await TcpEndpoint.listen()
  child.send({ address: `tcp://127.0.0.1:${endpoint.port}`, slots })
  const [{ address }] = await once(child, 'message')
  const peer = await endpoint.connect(address)
  const crops = endpoint.alloc('crops to send', { dtype: 'float32', shape: [slots, MAX_CROPS, ...CROP_SHAPE] })
  readAnswers().catch(onTrouble)

  async function readAnswers() {
    for await (const { tag, data } of endpoint.messages()) onAnswer(tag, JSON.parse(Buffer.from(data).toString()))
  }

  return {
    /** Where the crops of one page are written before they are sent; free again when its answer is there. */
    place: (slot) => crops.typed().subarray(slot * MAX_CROPS * CROP_ELEMENTS, (slot + 1) * MAX_CROPS * CROP_ELEMENTS),
    /** On its way when this returns: the engine's threads do the rest. The message behind it tells the other process. */
    send(page, slot, count) {
      const length = (count / MAX_CROPS) * PAGE_BYTES
      const range = { sourceOffset: slot * PAGE_BYTES, remoteOffset: slot * PAGE_BYTES, length }
      peer.write('crops', crops, { ...range, notify: page }).catch(onTrouble)
    },
    close: () => endpoint.close(),
  }
}

/** In the process that recognises: pages as they come, `{ page, crops, answer }`. Crops are a view over the region. */
export async function* receiver() {
  const [{ address, slots }] = await once(process, 'message')
  const endpoint = await TcpEndpoint.listen()
  process.once('disconnect', () => endpoint.close())
  const region = endpoint.alloc('crops', { dtype: 'float32', shape: [slots, MAX_CROPS, ...CROP_SHAPE], access: 'write' })
  const peer = await endpoint.connect(address)
  process.send({ address: `tcp://127.0.0.1:${endpoint.port}` })
  for await (const { tag: page, data } of endpoint.messages()) {
    const written = new DataView(data.buffer, data.byteOffset)
    const offset = Number(written.getBigUint64(0, true) - BigInt(region.address))
    const length = Number(written.getBigUint64(8, true))
    const crops = new Float32Array(region.buffer, offset, length / Float32Array.BYTES_PER_ELEMENT)
    yield { page, crops, answer: (body) => peer.send(Buffer.from(JSON.stringify(body)), { tag: page }) }
  }
}
