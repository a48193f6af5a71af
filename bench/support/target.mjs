/** The target process of a contender: serves its memory and, when told to, blocks its event loop in bursts. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { startBursts } from './burst.mjs'
import { answerCalls } from './channel.mjs'
import { delayMeter } from './delay.mjs'
import { fillPattern, firstDifference } from './pattern.mjs'
import { residentGrowth } from './resident.mjs'

let served = null
let stopBursts = null
let delay = null
let growth = null

/** Threads that compute beside the event loop where a row says that all cores are busy. */
const THREADS = 2

answerCalls(process, {
  async serve({ contender, bytes, connections, variant }) {
    const { serve } = await import(contender)
    served = await serve({ bytes, connections, variant, channel: process })
    fillPattern(served.memory)
    await served.publish?.()
    return served.address
  },
  async busy(wanted) {
    await stopBursts?.()
    stopBursts = wanted ? await startComputing(wanted === 'all' ? THREADS : 0) : null
  },
  async wipe(bytes) {
    served.memory.fill(0, 0, bytes)
    await served.publish?.()
  },
  async firstDifference() {
    await served.fetch?.()
    return firstDifference(served.memory)
  },
  startGrowth: () => void (growth = residentGrowth()),
  growth: () => growth(),
  startDelay: () => void (delay = delayMeter()),
  stopDelay: () => delay(),
  async usage() {
    // Memory that another process holds for this one costs that process its time.
    const others = (await served?.cpu?.()) ?? 0
    const { user, system } = process.cpuUsage()
    const cpu_s = (user + system) / 1e6 + others
    return { cpu_s, rss: process.memoryUsage.rss(), connections: served?.connections() ?? 0 }
  },
})

async function startComputing(threads) {
  const workers = Array.from({ length: threads }, () => new Worker(new URL('./burst-thread.mjs', import.meta.url)))
  await Promise.all(workers.map((worker) => once(worker, 'online')))
  const stop = startBursts()
  return async () => {
    stop()
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}

process.on('disconnect', () => process.exit())
