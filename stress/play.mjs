import { liveLine } from '../bench/support/live.mjs'
import { sum, totals } from './verdict.mjs'

/** What setting up, ending what is under way, and cleaning up may take. */
const PHASE_MS = 60_000

/**
 * From the start of every process to the report of each.
 *
 * @param given.reach the ports by which processes reach each other, of those on which they listen
 * @param given.over resolves when the work is to end; how long the work lasts where there is none follows from `seconds`
 */
export async function play(fleet, { seconds, reach = (ports) => ports, over = () => fleet.last(seconds * 1000) }) {
  const live = liveLine()
  const started = performance.now()
  const showing = setInterval(() => {
    const { operations, ok } = totals(fleet.summaries)
    const failed = sum(fleet.summaries.map((summary) => summary.failed))
    const pending = sum(fleet.summaries.map((summary) => summary.pending))
    const time = Math.round((performance.now() - started) / 1000)
    live.show(`${time} s: ${operations} operations, ${ok} with a value, ${pending} pending, ${failed} failures`)
  }, 1000)
  try {
    const ports = (await fleet.hear('ready', PHASE_MS)).map(({ port }) => port)
    ports.forEach((port, number) => fleet.tellOne(number, 'open', { port }))
    await fleet.hear('open', PHASE_MS)
    fleet.tell('work', { ports: await reach(ports) })
    await over()
    fleet.tell('stop')
    await fleet.hear('quiet', PHASE_MS)
    fleet.tell('finish')
    await fleet.hear('settled', PHASE_MS)
    fleet.tell('close')
    return await fleet.hear('done', PHASE_MS)
  } finally {
    clearInterval(showing)
    live.clear()
  }
}
