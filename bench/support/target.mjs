/** The target process of a contender: serves its memory and, when told to, blocks its event loop in bursts. */
import { startBursts } from './burst.mjs'
import { answerCalls } from './channel.mjs'
import { delayMeter } from './delay.mjs'
import { fillPattern, firstDifference } from './pattern.mjs'

let served = null
let stopBursts = null
let delay = null

answerCalls(process, {
  async serve({ contender, bytes, connections, variant }) {
    const { serve } = await import(contender)
    served = await serve({ bytes, connections, variant, channel: process })
    fillPattern(served.memory)
    await served.publish?.()
    return served.address
  },
  busy(wanted) {
    stopBursts?.()
    stopBursts = wanted ? startBursts() : null
  },
  async wipe() {
    served.memory.fill(0)
    await served.publish?.()
  },
  async firstDifference() {
    await served.fetch?.()
    return firstDifference(served.memory)
  },
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

process.on('disconnect', () => process.exit())
