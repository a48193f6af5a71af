/** The initiator process of a contender: starts the target, connects to it, checks the bytes, and runs the rows. */
import { answerCalls, caller } from './channel.mjs'
import { delayMeter } from './delay.mjs'
import { batched, batchOf, beside, blockedCaller, pipelined, serial } from './measure.mjs'
import { firstDifference, MIB, refuse } from './pattern.mjs'
import { residentGrowth } from './resident.mjs'
import { spawnNode } from './spawn.mjs'

const LOOPS = { serial, pipelined, batched, beside, blocked: blockedCaller }
const KINDS = { memory: memoryOfTarget, growth: growthOfBoth }
const CHECKED_ENTRIES = 1000
const CHECKED_ENTRY_BYTES = 64

let callTarget = null
let dialOnce = null
let link = null
let bare = null

answerCalls(process, {
  async open({ contender, bytes, connections, variant, targetCpu, checked = bytes }) {
    const target = spawnNode(new URL('./target.mjs', import.meta.url), targetCpu)
    callTarget = caller(target, 'the target')
    bare = await callTarget('usage')
    const address = await callTarget('serve', { contender, bytes, connections, variant })
    const { dial } = await import(contender)
    dialOnce = (length) => dial({ address, bytes: length, variant, channel: target })
    link = await dialOnce(bytes)
    await verify(checked)
  },
  run: (row) => (KINDS[row.kind] ?? measured)(row),
})

process.on('disconnect', () => process.exit())

/** A contender that is fast because it moves the wrong bytes is no contender. Leaves the pattern on both sides. */
async function verify(bytes) {
  await link.read(0, bytes)
  refuse({ offset: firstDifference(link.memory.subarray(0, bytes)) }, 'read')
  await callTarget('wipe', bytes)
  await link.write(0, bytes)
  refuse({ offset: await callTarget('firstDifference') }, 'write')
  const length = CHECKED_ENTRIES * CHECKED_ENTRY_BYTES
  link.memory.fill(0, 0, length)
  await batchOf(link, { op: 'read', entries: CHECKED_ENTRIES, bytes: CHECKED_ENTRY_BYTES })()
  refuse({ offset: firstDifference(link.memory.subarray(0, length)) }, 'batch')
}

async function measured({ kind, warmup = 0, busy = false, delay = false, pool = false, ...row }) {
  if (warmup > 0) await serial(link, { op: row.op, bytes: row.bytes, count: warmup })
  if (busy) await callTarget('busy', busy)
  if (delay) await callTarget('startDelay')
  const stopDelay = delay ? delayMeter() : null
  const before = await callTarget('usage')
  const own = process.cpuUsage()
  const { latencies, ...result } = await LOOPS[kind](link, row)
  const { user, system } = process.cpuUsage(own)
  const delays = delay ? { delay_ms: { initiator: stopDelay(), target: await callTarget('stopDelay') } } : {}
  const after = await callTarget('usage')
  if (busy) await callTarget('busy', false)
  const cpu_s = { initiator: (user + system) / 1e6, target: after.cpu_s - before.cpu_s }
  return { ...result, cpu_s, ...delays, ...(pool ? { latencies } : {}) }
}

/** Resident memory of the target before it served anything, and with its region and every connection used. */
async function memoryOfTarget({ connections }) {
  let usage = await callTarget('usage')
  for (let dialled = 1; usage.connections < connections; dialled++) {
    if (dialled > connections) throw new Error(`${usage.connections} connections after dialling ${dialled} times`)
    const { read } = await dialOnce(MIB)
    await read(0, MIB)
    usage = await callTarget('usage')
  }
  return { rss: usage.rss, bare: bare.rss, connections: usage.connections }
}

/** By how much each process grew at most while whole regions were read and written, every byte of which was touched before. */
async function growthOfBoth({ bytes }) {
  link.memory.fill(1)
  await link.read(0, MIB)
  await link.write(0, MIB)
  await callTarget('startGrowth')
  const growth = residentGrowth()
  for (const op of ['read', 'write', 'read']) await link[op](0, bytes)
  return { growth: { initiator: growth(), target: await callTarget('growth') } }
}
