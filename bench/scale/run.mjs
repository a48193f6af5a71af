/**
 * A fleet of real endpoints on addresses of 127.0.0.0/8: `npm run scale -- --help`. One process is everybody's target, one is
 * stopped, the others share the rest of the endpoints; each endpoint has a context of its own, as a process would.
 */
import { writeFileSync } from 'node:fs'
import { machine, versions } from '../machine.mjs'
import { overRounds, percentile, sort } from '../stats.mjs'
import { commandLine, wholeNumber } from '../support/command-line.mjs'
import { Member, kernel, slabs, system } from './fleet.mjs'
import { startRedis } from './redis.mjs'

const HELP = `usage: npm run scale -- [options]
  --endpoints N    endpoints, 200 by default; 3 to 10,000
  --links N        others that each of them is connected to, besides the common target; 20 by default; 1 to 10,000
  --processes N    processes that they share, 8 by default; 3 to 200, and no more than endpoints
  --rounds N       rounds of reads with everybody running and with one stopped, 5 by default; 1 to 1,000
  --no-directory   leave out the Redis directory
  --json FILE      write the report there instead of to standard output
  --help           this text`

const TARGET = 0
const VICTIM = 1
const BYTES = 2 << 20
const REGIONS = 1000
const REST_MS = 3000
const READS = { seconds: 3, everyMs: 100 }
const ANNOUNCED_S = 20
const LIMITS = { maxConnections: 100_000, maxConnectionsPerSource: 100_000 }

const options = commandLine('scale', {
  endpoints: { type: 'string', default: '200' },
  links: { type: 'string', default: '20' },
  processes: { type: 'string', default: '8' },
  rounds: { type: 'string', default: '5' },
  'no-directory': { type: 'boolean' },
  json: { type: 'string' },
  help: { type: 'boolean' },
})
if (options.help) {
  console.log(HELP)
  process.exit(0)
}
const whole = (name, least, most) => wholeNumber('scale', name, options[name], least, most)
const count = whole('endpoints', 3, 10_000)
const links = whole('links', 1, 10_000)
const processes = whole('processes', 3, Math.min(200, count))
const rounds = whole('rounds', 1, 1000)
if (process.platform !== 'linux') {
  console.error('scale: it needs Linux, whose loopback has all of 127.0.0.0/8 and whose /proc says what a process has')
  process.exit(2)
}

const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const say = (line) => process.stderr.write(`scale: ${line}\n`)
const sum = (list) => list.reduce((total, value) => total + value, 0)
const all = (list, call, argument) => Promise.all(list.map((member, index) => member.call(call, argument?.(index))))

/** An address of its own for each endpoint. */
const hostOf = (number) => `127.0.${1 + Math.floor(number / 250)}.${1 + (number % 250)}`

/** Which process has which endpoints: the first two have one. */
const shares = Array.from({ length: processes }, (_, index) => (index < 2 ? [index] : []))
for (let number = 2; number < count; number++) shares[2 + (number % (processes - 2))].push(number)

let fleet = shares.map((_, index) => new Member(`process ${index}`))
const residents = () => all(fleet, 'memory')
const grown = (later, earlier) => sum(later) - sum(earlier)

async function listen() {
  const before = await residents()
  const heard = await all(fleet, 'listen', (index) => ({
    endpoints: shares[index].map((number) => ({ number, host: hostOf(number), port: 0 })),
    bytes: BYTES,
    limits: LIMITS,
  }))
  const places = new Map(heard.flat().map((place) => [place.number, place]))
  const after = await residents()
  return { places, bytesEach: grown(after, before) / count - 2 * BYTES }
}

/** Every endpoint but the target to so many others, all around the ring, and to the target. */
function topology(places) {
  const linksOf = (number) => {
    if (number === TARGET) return []
    const to = new Set([TARGET])
    for (let step = 0; step < Math.min(links, count - 1); step++) {
      to.add((number + 1 + Math.floor((step * (count - 1)) / links)) % count)
    }
    return [...to].map((other) => ({ number, to: places.get(other) }))
  }
  return shares.map((numbers) => numbers.flatMap(linksOf))
}

async function connect(wanted) {
  const [before, slabsBefore] = [await residents(), slabs()]
  const from = Date.now()
  const stood = await all(fleet, 'connect', (index) => ({ links: wanted[index], from }))
  const took = sort(stood.flat())
  await rest(REST_MS)
  const after = await residents()
  const counters = await all(fleet, 'counters')
  return {
    peers: took.length,
    lanes: sum(counters.map(({ open }) => open)),
    all_ms: took.at(-1),
    p50_ms: percentile(took, 0.5),
    resident_per_peer: Math.round(grown(after, before) / took.length),
    target_sessions: counters[TARGET].accepted,
    target_resident_per_session: Math.round((after[TARGET] - before[TARGET]) / counters[TARGET].accepted),
    kernel_per_socket: slabsBefore === null ? null : Math.round((slabs() - slabsBefore) / took.length / 2),
    processes: fleet.map(({ pid }, index) => ({ endpoints: shares[index].length, ...system(pid) })),
  }
}

async function widen(peers) {
  const before = await residents()
  await all(fleet, 'widen', () => ({ bytes: BYTES }))
  await rest(REST_MS)
  const [after, counters] = [await residents(), await all(fleet, 'counters')]
  const lanes = sum(counters.map(({ open }) => open)) - peers
  return { lanes, resident_per_lane: Math.round(grown(after, before) / lanes) }
}

async function regions() {
  const member = fleet[VICTIM]
  const before = await member.call('regions', { count: 0 })
  const after = await member.call('regions', { count: REGIONS })
  const each = (key) => Math.round((after[key] - before[key]) / REGIONS)
  return { regions: REGIONS, resident_per_region: each('resident'), mappings_per_region: each('mappings') }
}

/** Reads of the others with the victim running and stopped, in turns. */
async function stopped() {
  const cases = { running: [], stopped: [] }
  let [late, failed] = [0, 0]
  const readers = fleet.filter((_, index) => index !== VICTIM)
  for (let round = 0; round < 2 * rounds; round++) {
    const name = round % 2 === 0 ? 'running' : 'stopped'
    if (name === 'stopped') fleet[VICTIM].signal('SIGSTOP')
    const seen = await all(readers, 'reads', () => ({ victim: VICTIM, ...READS }))
    if (name === 'stopped') fleet[VICTIM].signal('SIGCONT')
    const micros = sort(seen.flatMap((one) => one.micros))
    cases[name].push({ p50_us: percentile(micros, 0.5), p99_us: percentile(micros, 0.99), p999_us: percentile(micros, 0.999), reads: micros.length })
    failed += sum(seen.map((one) => one.failed))
    if (name === 'stopped') late += sum(seen.map((one) => one.late))
    // What was left unanswered is answered before anybody measures again.
    await rest(1000)
  }
  const figures = (list) => Object.fromEntries(Object.keys(list[0]).map((key) => [key, overRounds(list.map((one) => one[key]))]))
  const ratios = cases.stopped.map((one, index) => one.p99_us / cases.running[index].p99_us)
  return { running: figures(cases.running), stopped: figures(cases.stopped), p99_ratio: overRounds(ratios), failed, reads_of_the_stopped_one_that_timed_out: late }
}

/** The target is killed and started on its port; the others read from it until they have it again. */
async function restart(place) {
  const readers = fleet.filter((_, index) => index !== TARGET)
  const before = sum((await all(readers, 'counters')).map(({ dialled }) => dialled))
  const regaining = all(readers, 'regain', () => ({ number: TARGET }))
  // It is waited for below.
  regaining.catch(() => undefined)
  const killed = Date.now()
  await fleet[TARGET].end()
  fleet = fleet.with(TARGET, new Member('the new target'))
  await fleet[TARGET].call('listen', { endpoints: [place], bytes: BYTES, limits: LIMITS })
  const back = Date.now()
  const dialled = async () => sum((await all(readers, 'counters')).map((counters) => counters.dialled)) - before
  const regained = (await regaining).flat().filter(({ at }) => at >= killed)
  const after = sort(regained.map(({ at }) => Math.max(0, at - back)))
  return {
    outage_ms: back - killed,
    readers: regained.length,
    dials: await dialled(),
    failures: sum(regained.map(({ failures }) => failures)),
    p50_ms: percentile(after, 0.5),
    all_ms: after.at(-1),
  }
}

async function directory() {
  const redis = await startRedis()
  if (redis === null) return { absent: 'redis-server is not installed' }
  try {
    await all(fleet, 'announce', () => ({ port: redis.port }))
    const before = redis.calls()
    const from = Date.now()
    await rest(ANNOUNCED_S * 1000)
    const [calls, seconds] = [redis.calls() - before, (Date.now() - from) / 1000]
    const times = (await all(fleet, 'renewals')).flat().sort((one, other) => one - other)
    const windows = new Map()
    for (const time of times) windows.set(Math.floor(time / 100), (windows.get(Math.floor(time / 100)) ?? 0) + 1)
    await all(fleet, 'withdraw')
    return { names: count, calls, seconds, per_name_per_s: calls / seconds / count, busiest_100_ms: Math.max(...windows.values()) }
  } finally {
    await redis.stop()
  }
}

const report = { machine: machine({ text: 'free' }), versions: versions(), kernel: kernel(), endpoints: count, processes, links }
try {
  const { places, bytesEach } = await listen()
  report.listening = { resident_per_endpoint: Math.round(bytesEach) }
  say(`${count} endpoints listen; connecting`)
  report.connect = await connect(topology(places))
  say(`${report.connect.peers} peers in ${report.connect.all_ms} ms; a second lane each`)
  report.lanes = await widen(report.connect.peers)
  say('one stopped, in turns')
  report.stopped = await stopped()
  report.regions = await regions()
  say('the target starts anew')
  report.restart = await restart(places.get(TARGET))
  if (!options['no-directory']) {
    say('announced')
    report.directory = await directory()
  }
} finally {
  await Promise.all(fleet.map((member) => member.end()))
}
const text = `${JSON.stringify(report, null, 2)}\n`
if (options.json === undefined) process.stdout.write(text)
else writeFileSync(options.json, text)
