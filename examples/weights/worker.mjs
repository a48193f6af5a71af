/** A worker that loads the model when it is told to. `main.mjs` starts eight of them and speaks with them by `answerCalls`. */
import { createHash } from 'node:crypto'

import { answerCalls } from '../../bench/support/channel.mjs'
import { residentGrowth } from '../../bench/support/resident.mjs'
import { memlane, nodeHttp } from './load.mjs'

let model
let bytes

answerCalls(process, {
  async connect(url) {
    model = await (url.startsWith('tcp:') ? memlane(url) : nodeHttp(url))
    return model.length
  },
  /** Loads all of it; the bytes by which this process has grown at most meanwhile, `null` where only Linux tells. */
  async load() {
    const growth = process.platform === 'linux' ? residentGrowth() : () => null
    bytes = await model.load()
    return growth()
  },
  /** Loads the rank's share alone, and the milliseconds that took. */
  async slice({ rank, ranks }) {
    const share = Math.ceil(model.length / ranks)
    const offset = rank * share
    const began = performance.now()
    bytes = await model.slice(offset, Math.min(share, model.length - offset))
    return performance.now() - began
  },
  sha256: () => createHash('sha256').update(bytes).digest('hex'),
})

process.on('disconnect', () => process.exit())
