/** The same hand-over by what Node has built in: messages over the channel of child_process, bytes as bytes. */
import { on } from 'node:events'

import { CROP_ELEMENTS, MAX_CROPS } from './crop.mjs'

/** In the process that detects. With `awaitSends`, `send` resolves when all of a page has left this process. */
export function sender(child, slots, { onAnswer, onTrouble, awaitSends }) {
  const crops = new Float32Array(slots * MAX_CROPS * CROP_ELEMENTS)
  const place = (slot) => crops.subarray(slot * MAX_CROPS * CROP_ELEMENTS, (slot + 1) * MAX_CROPS * CROP_ELEMENTS)
  child.on('message', ({ page, body }) => onAnswer(page, body))

  return {
    place,
    /** Copied when this returns; leaves as this process's event loop finds the other one reading. */
    send(page, slot, count) {
      const message = { page, crops: place(slot).subarray(0, count * CROP_ELEMENTS) }
      return new Promise((resolve) => {
        child.send(message, (error) => {
          if (error) onTrouble(error)
          resolve()
        })
        if (!awaitSends) resolve()
      })
    },
    close() {},
  }
}

/** In the process that recognises: pages as they come, `{ page, crops, answer }`. */
export async function* receiver() {
  for await (const [{ page, crops }] of on(process, 'message', { close: ['disconnect'] })) {
    yield { page, crops, answer: async (body) => process.send({ page, body }, () => {}) }
  }
}
