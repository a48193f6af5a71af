/** `npm run soak`: the load of `stress/` for as long as one likes, through connections that break and processes that die. */
import { randomBytes, randomInt } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { commandLine } from '../../bench/support/command-line.mjs'
import { Fleet } from '../../stress/fleet.mjs'
import { quantile } from '../../stress/latencies.mjs'
import { play } from '../../stress/play.mjs'
import { modelBytes } from '../../stress/traveller.mjs'
import { healthTable, operationsTable, sum, totals } from '../../stress/verdict.mjs'
import { Proxy } from '../faults/proxy.mjs'
import { ofSystem, Samples } from './samples.mjs'
import { Door, Mortal, Weather } from './weather.mjs'

const HELP = `npm run soak -- [options]

  --minutes N      how long (30; 0.5 is the quick form)
  --processes P    how many processes do everything to each other, 2 to 8 (2)
  --pause-ms N     how long each of their loops rests between two turns (50)
  --seed N         the plans and the weather of that run again (a fresh one, which is printed)
  --json FILE      the report as JSON
  --help           this text

A line each minute: resident MiB, descriptors and threads of each process, of one in which connections come
and go and nothing else, and of one that is killed all the time; p50 and p99
of operations with a value, how many operations ended, and how many of them by which code.
Exit code 0: every operation ended once and as it may, no byte was wrong, nothing grew. 1: not so. 2: wrong options.
`

const NAME = 'mortal'
const PROGRESS_MS = 2000
const FAILURES_SHOWN = 12
/** What has to have succeeded often, for the run to say anything. */
const LOAD = ['read', 'write', 'read batch', 'write batch', 'prepared batch', 'send', 'notified write', 'file read', 'named connect', 'connect']

const options = commandLine('soak', {
  minutes: { type: 'string', default: '30' },
  processes: { type: 'string', default: '2' },
  'pause-ms': { type: 'string', default: '50' },
  seed: { type: 'string' },
  json: { type: 'string' },
  help: { type: 'boolean', default: false },
})
if (options.help) process.stdout.write(HELP)
else process.exitCode = await main(options)

function figure(name, text, least, most, whole = true) {
  const value = Number(text)
  if (text !== '' && value >= least && value <= most && (!whole || Number.isInteger(value))) return value
  console.error(`soak: --${name} takes a ${whole ? 'whole ' : ''}number from ${least} to ${most}, not ${text}`)
  process.exit(2)
}

async function main(given) {
  const minutes = figure('minutes', given.minutes, 0.1, 10_000, false)
  const processes = figure('processes', given.processes, 2, 8)
  const pauseMs = figure('pause-ms', given['pause-ms'], 0, 60_000)
  const seed = given.seed === undefined ? randomInt(2 ** 32) : figure('seed', given.seed, 0, 2 ** 32 - 1)
  const replay = `npm run soak -- --seed ${seed} --minutes ${minutes} --processes ${processes} --pause-ms ${pauseMs}`
  console.log(`soak: seed ${seed}, ${processes} processes, ${minutes} minutes`)

  const folder = mkdtempSync(join(tmpdir(), 'memlane-soak-'))
  writeFileSync(join(folder, 'model'), modelBytes())
  const road = await Proxy.listen(0)
  const common = { tokens: { soak: randomBytes(16).toString('hex') }, progressTimeoutMs: PROGRESS_MS }
  const mortal = new Mortal({ ...common, folder, name: NAME, processes, advertise: `127.0.0.1:${road.port}` }, road)
  await mortal.start()
  const door = new Door(common.tokens)
  await door.open()
  const fleet = new Fleet(seed, processes, { ...common, pauseMs, faulty: true, visit: { folder, name: NAME, pauseMs } })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void Promise.all([fleet.end(), mortal.end(), door.end()]).then(() => process.exit(130)))

  const proxies = [road]
  const samples = new Samples(processes + 1, 1)
  const lines = []
  const problems = []
  let reports
  let weather
  try {
    reports = await play(fleet, {
      async reach(ports) {
        for (const port of ports) proxies.push(await Proxy.listen(port))
        weather = new Weather(seed, proxies, mortal)
        return proxies.slice(1).map(({ port }) => port)
      },
      async over() {
        await Promise.race([fleet.lost, watch({ minutes, fleet, mortal, door, samples, lines })])
        await weather.end()
        for (const proxy of proxies) proxy.lift()
      },
    })
    problems.push(...fleet.post.lost)
  } catch (error) {
    problems.push(error.message, ...(await fleet.diagnose()))
  }
  const { summaries } = fleet
  await Promise.all([fleet.end(), mortal.end(), door.end()])
  await Promise.all(proxies.map((proxy) => proxy.close()))
  rmSync(folder, { recursive: true })

  problems.push(...summaries.flatMap(({ failures }) => failures), ...mortal.problems, ...door.problems)
  const slopes = samples.verdict(minutes)
  for (const { process, figure: what, perMinute, bound, flat } of slopes) {
    if (!flat) problems.push(`${what} of process ${process} grows by ${perMinute.toFixed(2)} a minute, ${bound.toFixed(2)} is the bound`)
  }
  for (const kind of LOAD) if (sum(summaries.map(({ counts }) => counts[kind]?.ok ?? 0)) === 0) problems.push(`no ${kind} has succeeded: the run says nothing of it`)
  const failed = problems.length + sum(summaries.map((summary) => summary.failed - summary.failures.length))
  const { operations, ok } = totals(summaries)

  console.log(`\n${operationsTable(summaries).join('\n')}`)
  if (reports !== undefined) console.log(`\n${healthTable(reports).join('\n')}`)
  console.log('\nover the second half, by robust slope:')
  for (const one of slopes) {
    console.log(`  ${one.flat ? 'flat ' : 'GROWS'}  p${one.process} ${one.range}, ${one.perMinute.toFixed(2)} a minute (bound ${one.bound.toFixed(2)})`)
  }
  const faults = { connections: weather?.faults ?? 0, lives: mortal.lives, stops: mortal.stops }
  console.log(`\n${faults.connections} faults of connections; one process lived ${faults.lives} times and stood still ${faults.stops} times; ${door.visits} connections came and went`)
  if (given.json !== undefined) {
    const report = { seed, minutes, processes, replay, passed: failed === 0, failed, problems, operations, ok, faults, slopes, minute: lines }
    writeFileSync(given.json, `${JSON.stringify({ ...report, counts: summaries.map(({ counts }) => counts) }, null, 2)}\n`)
  }
  if (failed === 0) {
    console.log(`passed: ${operations} operations, each ended once; ${ok} with a value, ${operations - ok} with a code that it may have`)
    return 0
  }
  for (const problem of problems.slice(0, FAILURES_SHOWN)) console.log(`\n${problem}`)
  console.log(`\nFAILED: ${failed} failures in ${operations} operations; again with:\n  ${replay}`)
  return 1
}

/** Samples, and the line of each minute, until the time is over. */
async function watch({ minutes, fleet, mortal, door, samples, lines }) {
  const started = performance.now()
  const elapsed = () => (performance.now() - started) / 60_000
  // At least forty samples of a run, at most one each five seconds.
  const everyMs = Math.min(5000, (minutes * 60_000) / 40)
  let before = fleet.summaries
  let next = 1
  for (let number = 1; elapsed() < minutes; number++) {
    await delay(Math.max(0, Math.min(number * everyMs, minutes * 60_000) - (performance.now() - started)))
    const measured = (await Promise.all([fleet.measure(everyMs), door.measure(everyMs)])).flat()
    for (const [process, pid] of [...fleet.pids, door.pid].entries()) {
      const system = ofSystem(pid)
      if (measured[process] !== undefined && system !== undefined) samples.add(elapsed(), process, { ...system, ...measured[process], threads: system.threads })
    }
    if (elapsed() < Math.min(next, minutes)) continue
    const line = minuteOf(elapsed(), [...fleet.pids, door.pid, mortal.pid].map(ofSystem), before, fleet.summaries)
    lines.push(line)
    console.log(worded(line))
    before = fleet.summaries
    next = Math.floor(elapsed()) + 1
  }
}

/** What one minute was. */
function minuteOf(minute, systems, before, after) {
  const codes = {}
  let ended = 0
  for (const [process, { counts }] of after.entries()) {
    for (const [kind, results] of Object.entries(counts)) {
      for (const [result, count] of Object.entries(results)) {
        const more = count - (before[process].counts[kind]?.[result] ?? 0)
        ended += more
        if (result.startsWith('ERR_') && more > 0) codes[result] = (codes[result] ?? 0) + more
      }
    }
  }
  const buckets = after.flatMap(({ took = {} }, process) =>
    Object.entries(took).map(([kind, of]) => of.map((count, at) => count - (before[process].took?.[kind]?.[at] ?? 0)))
  )
  const all = (buckets[0] ?? []).map((_, at) => sum(buckets.map((of) => of[at])))
  return { minute, systems, p50: quantile(all, 0.5), p99: quantile(all, 0.99), ended, codes, failures: sum(after.map(({ failed }) => failed)) }
}

function worded({ minute, systems, p50, p99, ended, codes, failures }) {
  const each = (name) => systems.map((system) => system?.[name] ?? '–').join(' ')
  const by = Object.entries(codes).sort(([, one], [, other]) => other - one).map(([code, count]) => `${code.slice(4)} ${count}`)
  const memory = `RSS ${each('rss')} MiB, fds ${each('descriptors')}, threads ${each('threads')}`
  return `${minute.toFixed(1).padStart(5)} min: ${memory}; p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(1)} ms; ${ended} ended, ${failures} wrong; ${by.join(', ')}`
}
