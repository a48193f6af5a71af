/** All rows, one after the other, and the verdict. */
import { writeFileSync } from 'node:fs'
import { HEAD, rowLine } from './report.mjs'
import { stopAll, Target } from './rig.mjs'
import { volley } from './volley.mjs'
import { STATUS_NAMES } from './wire.mjs'
import { liveLine } from '../../bench/support/live.mjs'
import * as auth from './cases/auth.mjs'
import * as bodies from './cases/bodies.mjs'
import * as crowds from './cases/crowds.mjs'
import * as liars from './cases/liars.mjs'
import * as messages from './cases/messages.mjs'
import * as requestRows from './cases/requests.mjs'
import * as sessionRows from './cases/sessions.mjs'
import * as silence from './cases/silence.mjs'
import * as strangers from './cases/strangers.mjs'

/** A module has `rows`, `cases(target)` and, where its target is not as all others, a `setting` of it or a `start`. */
const MODULES = [
  // The longest first.
  sessionRows,
  { rows: ['B1', 'B2', 'B13'], ...silence },
  { rows: ['B3', 'B4', 'B5', 'B6', 'B7'], ...requestRows },
  { rows: ['B8', 'B12', 'B18'], setting: { giant: true }, ...bodies },
  { rows: ['B9', 'B10', 'B11'], ...messages },
  { rows: ['B14', 'B16'], ...strangers },
  auth,
  liars,
  crowds,
]

const ALL = Array.from({ length: 21 }, (_, index) => `B${index + 1}`)

/** Parts that run side by side. */
const AT_ONCE = 3

export async function play({ seed, requests: wanted, only, exec, json }) {
  const isWanted = (row) => only === undefined || only.includes(row)
  const again = `npm run test:hostile -- --seed ${seed}${only === undefined ? '' : ` --only ${only.join()}`}`
  const rows = []
  console.log(`test:hostile: seed ${seed}\n${HEAD}`)
  const started = performance.now()
  const show = (row) => {
    rows.push(row)
    console.log(rowLine(row))
  }
  try {
    const waiting = MODULES.filter((module) => module.rows.some(isWanted))
    const run = async (module) => {
      const target = module.start ? await module.start({ seed, exec }) : await Target.start({ seed, exec, ...module.setting })
      for await (const entry of module.cases(target, { seed, exec })) {
        if (isWanted(entry.row)) show(await lineOf(target, entry))
      }
      target.stop()
    }
    // Each has processes of its own, and most of them wait most of the time.
    const side = async () => {
      while (waiting.length > 0 && !waiting[0].alone) await run(waiting.shift())
    }
    await Promise.all(Array.from({ length: AT_ONCE }, side))
    for (const module of waiting) await run(module)
    if (wanted > 0 && isWanted('P1')) show(await generated({ seed, exec, requests: wanted }))
  } finally {
    stopAll()
  }
  // A row without a case would pass whatever becomes of it.
  const played = new Set(rows.map(({ row }) => row))
  for (const row of (only ?? ALL).filter((wantedRow) => !played.has(wantedRow) && wantedRow !== 'P1')) {
    rows.push({ row, name: 'no case', cases: 0, failure: 'no case of this row was played' })
  }
  const failed = rows.filter(({ failure }) => failure !== undefined)
  const checks = rows.reduce((sum, row) => sum + row.cases, 0)
  const report = { seed, seconds: (performance.now() - started) / 1000, cases: checks, failed: failed.length, rows }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`)
  for (const { note } of rows) if (note !== undefined) console.log(`\n${note}`)
  for (const { row, name, failure } of failed) console.log(`\nFAILED ${row} ${name}: ${failure}`)
  const seconds = report.seconds.toFixed(1)
  if (failed.length === 0) console.log(`\npassed: ${rows.length} lines, ${checks} cases, in ${seconds} s`)
  else console.log(`\nFAILED: ${failed.length} of ${rows.length} lines; again with:\n  ${again}`)
  return failed.length === 0 ? 0 : 1
}

/** One line: all of its cases, up to the first that fails. */
async function lineOf(target, { row, name, sent, sub, ...single }) {
  const line = { row, name, sent, cases: 0, came: '', ms: 0, grown: 0, reads: 0, slowest: 0, counters: {} }
  const came = new Set()
  for (const entry of sub ?? [single]) {
    try {
      await entry.before?.()
      const run = entry.run ?? ((spec) => target.attacked(spec))
      const seen = await run(entry)
      came.add(seen.came)
      line.cases++
      line.reads += seen.reads
      for (const field of ['ms', 'grown', 'slowest']) line[field] = Math.max(line[field], seen[field])
      for (const [counter, count] of Object.entries(seen.counters)) line.counters[counter] = (line.counters[counter] ?? 0) + count
    } catch (error) {
      line.failure = `${entry.name === undefined ? '' : `${entry.name}: `}${error.message}`
      break
    }
  }
  line.came = [...came].slice(0, 4).join(' | ')
  return line
}

/** One line for the generator. */
async function generated({ seed, exec, requests }) {
  const row = { row: 'P1', name: `${requests.toLocaleString('en-US')} hostile requests out of the generator`, sent: 'mutations of valid sessions', cases: 1, came: '', ms: 0, grown: 0, reads: 0, slowest: 0, counters: {} }
  const live = liveLine()
  try {
    const progress = ({ hostile, looks }) => live.show(`${hostile.toLocaleString('en-US')} hostile requests, ${looks} looks at all memory`)
    const seen = await volley({ seed, exec, requests, progress })
    const { hostile, counted, looks, sessions, ms, grown, slowest, refused } = seen
    const counters = Object.fromEntries(Object.entries(refused).map(([status, count]) => [STATUS_NAMES[status], count]))
    Object.assign(row, { ms, grown, slowest, counters, seen, cases: looks })
    row.came = `${hostile} refused, 0 bytes outside`
    row.note = `${hostile.toLocaleString('en-US')} hostile requests in ${sessions.toLocaleString('en-US')} sessions, ${counted.toLocaleString('en-US')} refusals counted by the target, ${looks} looks at all memory, 0 bytes outside regions`
  } catch (error) {
    row.failure = error.message
  }
  live.clear()
  return row
}
