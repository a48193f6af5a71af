/** A target that is killed and started again on its port, under load. */
import { CELL, LARGE } from './content.mjs'
import { LIMITS } from './matrix.mjs'
import { Party, until } from './process.mjs'

const GONE = ['ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_REGION_NOT_FOUND']
const WITHIN_MS = 1000
const LANES = 2
const PORT_ATTEMPTS = 50
/** When so much is wrong, the rest says nothing new. */
const ENOUGH = 6

async function life(port) {
  const party = new Party('the target')
  const { at, port: bound } = await party.ask('listen', { options: LIMITS, port })
  await party.ask('facts')
  await party.ask('alloc', { name: 'cells', bytes: 64 * CELL.stride, access: 'readwrite' })
  await party.ask('alloc', { name: 'large facts', bytes: LARGE, access: 'read' })
  return { party, at: BigInt(at), port: bound }
}

/** The first life, on a port that the system gives to nobody who dials while it is free. */
async function firstLife(random) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await life(random.between(10_240, 30_000))
    } catch (error) {
      if (error.code !== 'ERR_LISTEN' || attempt === PORT_ATTEMPTS) throw error
    }
  }
}

/**
 * @param given.load how many operations of each kind are under way at once
 * @param given.patient whether who has failed waits for the next life; else it tries again at once
 * @param given.most failures that a restart may cost, of who is patient
 */
export async function restarted({ random, restarts, load, patient, most }) {
  const { party, port } = await firstLife(random)
  let target = party
  const initiator = new Party('the initiator')
  const problems = []
  const failed = []
  const recovered = []
  const operations = Object.values(load).reduce((sum, count) => sum + count, 0)
  try {
    await initiator.ask('listen', { options: { ...LIMITS, lanesPerPeer: LANES } })
    await initiator.ask('connect', { port, slot: 0, timeoutMs: 5000 })
    const before = (await initiator.ask('left')).sockets
    await initiator.ask('load', { slot: 0, ...load, patient, timeoutMs: 5000 })
    const kinds = Object.keys(load).length
    const working = () => until(() => initiator.ask('loaded'), ({ ok }) => Object.keys(ok).length === kinds, 5000)
    for (let number = 1; number <= restarts && problems.length < ENOUGH; number++) {
      await working()
      await new Promise((resolve) => setTimeout(resolve, random.below(30)))
      await initiator.ask('loaded')
      await target.kill()
      const next = await life(port)
      target = next.party
      await initiator.ask('resume')
      // Whatever has failed since the kill, and every kind at work again.
      const seen = { failed: [], first: {} }
      const all = await until(
        async () => {
          const { ok, failed: more } = await initiator.ask('loaded')
          seen.failed.push(...more)
          for (const [kind, { first }] of Object.entries(ok)) if (BigInt(first) > next.at) seen.first[kind] ??= Number(BigInt(first) - next.at) / 1e6
          return Object.keys(seen.first).length
        },
        (count) => count === kinds,
        3000
      )
      for (const { kind, code } of seen.failed) if (!GONE.includes(code)) problems.push(`restart ${number}: a ${kind} ended with ${code}`)
      failed.push(seen.failed.length)
      const slowest = all === kinds ? Math.max(...Object.values(seen.first)) : Infinity
      const first = Math.min(...Object.values(seen.first), Infinity)
      recovered.push({ first, slowest })
      if (first > WITHIN_MS) problems.push(`restart ${number}: nothing succeeded within a second of the listen`)
      if (slowest > WITHIN_MS) problems.push(`restart ${number}: not every kind of operation succeeded within a second of the listen`)
      if (most !== undefined && seen.failed.length > most) problems.push(`restart ${number}: ${seen.failed.length} operations failed, ${most} may`)
    }
    await initiator.ask('unload')
    await initiator.ask('part', { slot: 0 })
    const left = await until(() => initiator.ask('left'), ({ sockets, inFlight }) => sockets <= before && inFlight === 0, 2000)
    if (left.inFlight !== 0 || left.queuedBytes !== 0) problems.push(`the initiator keeps ${JSON.stringify(left)}`)
    const firsts = recovered.map(({ first }) => first).sort((one, other) => one - other)
    const slowest = Math.max(...recovered.map((one) => one.slowest))
    const within = recovered.filter((one) => one.slowest < WITHIN_MS).length
    const detail = `${operations} under way; ${within} of ${restarts} within 1 s; listen to first success ${firsts[firsts.length >> 1].toFixed(1)} ms (median), ${firsts.at(-1).toFixed(1)} ms (most), every kind within ${slowest.toFixed(1)} ms; failed a restart: ${Math.max(...failed)} at most, ${(failed.reduce((sum, count) => sum + count, 0) / restarts).toFixed(1)} on average`
    return { problems, detail, figures: { operations, recovered, failed } }
  } finally {
    await Promise.all([target.kill(), initiator.kill()])
  }
}
