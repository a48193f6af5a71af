/** The target process of a contender: serves its memory and, when told to, blocks its event loop in bursts. */
import { startBursts } from './burst.mjs'
import { answerCalls } from './channel.mjs'
import { fillPattern, firstDifference } from './pattern.mjs'

let served = null
let stopBursts = null

answerCalls(process, {
  async serve({ contender, bytes, connections }) {
    const { serve } = await import(contender)
    served = await serve({ bytes, connections, channel: process })
    fillPattern(served.memory)
    return served.address
  },
  busy(wanted) {
    stopBursts?.()
    stopBursts = wanted ? startBursts() : null
  },
  wipe: () => void served.memory.fill(0),
  firstDifference: () => firstDifference(served.memory),
  usage() {
    const { user, system } = process.cpuUsage()
    return { cpu_s: (user + system) / 1e6, rss: process.memoryUsage.rss(), connections: served?.connections() ?? 0 }
  },
})

process.on('disconnect', () => process.exit())
