/** A target that stands still: what it has not done is not told to have been done. */
import { LARGE } from './content.mjs'
import { Pair } from './matrix.mjs'

const LONG_MS = 20_000
const SHORT_MS = 150
/** What left the target before it stopped may be in a socket still, for so long. */
const ON_THE_WAY_MS = 150
const STANDS_MS = 300

export async function stopped({ random, rounds }) {
  const pair = await Pair.start({ slots: 64, large: true, limits: { progressTimeoutMs: 30_000, handshakeTimeoutMs: 5000 } })
  const problems = []
  let held = 0
  const { initiator, target } = pair
  const write = (length, fill, timeoutMs) => {
    const state = { ended: undefined }
    const name = length > 64 ? 'large' : 'cells'
    state.promise = initiator.ask('write', { slot: 0, name, length, fill, timeoutMs }).then((end) => (state.ended = end))
    return state
  }
  try {
    await initiator.ask('connect', { port: pair.port, slot: 0, timeoutMs: LONG_MS })
    for (let round = 1; round <= rounds; round++) {
      // Some are half way when it stops, some begin afterwards.
      const before = [write(LARGE, round, LONG_MS), write(32, round, LONG_MS)]
      await new Promise((resolve) => setTimeout(resolve, random.below(8)))
      await target.stop()
      await new Promise((resolve) => setTimeout(resolve, ON_THE_WAY_MS))
      const open = before.filter(({ ended }) => ended === undefined)
      const after = [write(32, round, LONG_MS), write(1 << 20, round, LONG_MS)]
      const hasty = await write(16, round, SHORT_MS).promise
      if (hasty.code !== 'ERR_TIMEOUT' || hasty.outcome !== 'unknown') problems.push(`round ${round}: a write with a deadline ended with ${hasty.code}, outcome ${hasty.outcome}`)
      if (hasty.ms > SHORT_MS + 1000) problems.push(`round ${round}: a write with a deadline of ${SHORT_MS} ms ended after ${Math.round(hasty.ms)} ms`)
      await new Promise((resolve) => setTimeout(resolve, STANDS_MS))
      for (const { ended } of [...open, ...after]) {
        if (ended === undefined) held++
        else problems.push(`round ${round}: a write ended (${ended.code ?? 'with success'}) while its target stood still`)
      }
      target.goOn()
      const ends = await Promise.all([...before, ...after].map(({ promise }) => promise))
      for (const { code, message } of ends) if (code !== undefined) problems.push(`round ${round}: a write failed when its target went on: ${code} ${message}`)
      const wanted = await initiator.ask('filled', { length: LARGE, fill: round })
      if ((await target.ask('digest', { name: 'large', length: LARGE })) !== wanted) problems.push(`round ${round}: the writes succeeded, and the target has other bytes`)
    }
    await initiator.ask('part', { slot: 0 })
    problems.push(...(await pair.left()))
    return { problems, detail: `${rounds} stops; ${held} writes waited for the target to go on` }
  } finally {
    target.goOn()
    await pair.end()
  }
}
