/** The long form: as many hostile requests as one likes, pipelined, with a look at all memory every so often. */
import { DEADLINE_MS, legacy, native } from './connection.mjs'
import { Generator } from './generator.mjs'
import { contentOf } from './layout.mjs'
import { Random } from '../../bench/support/random.mjs'
import { Target } from './rig.mjs'
import { STATUS_NAMES } from './wire.mjs'

/** Requests between two looks. */
const BETWEEN = 50_000
const AT_ONCE = 4
/** Addresses of regions that are gone: they are asked for again and again. */
const MOST_STALE = 256
const KINDS = [['slab', 4096], ['slab odd', 1000], ['mapping', 300 << 10]]

/** How much more resident memory there may be at the end than in the beginning. */
const GROWTH_BYTES = (48 << 20) * (DEADLINE_MS / 1000)

export async function volley({ seed, exec, requests, progress }) {
  const target = await Target.start({ seed, exec, pauseMs: 1 })
  const random = new Random(seed)
  const generator = new Generator(random, target)
  const seen = { requests: 0, hostile: 0, sessions: 0, resets: 0, looks: 0, watchedBytes: target.watchedBytes }
  const expected = {}
  const lives = await Promise.all(KINDS.map(([kind, length]) => allocated(target, seed, kind, length)))
  generator.use([...target.regions, ...lives])
  await target.mark()
  const before = await target.call('look')
  const started = performance.now()
  let slowest = 0
  while (seen.hostile < requests) {
    const until = seen.requests + BETWEEN
    const worker = async () => {
      while (seen.requests < until && seen.hostile < requests) await one(target, generator, random, seen, expected)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    await looked(target, before, seen, expected)
    slowest = Math.max(slowest, ...(await target.latencies()))
    await target.mark()
    // Recycled: the next region has the memory of this one, and its name, and another address.
    for (const [index, [kind, length]] of KINDS.entries()) {
      generator.stale.push(lives[index].address)
      await target.call('close', { name: kind })
      await target.call('forget', kind)
      lives[index] = await allocated(target, seed, kind, length)
    }
    generator.stale.splice(0, generator.stale.length - MOST_STALE)
    generator.use([...target.regions, ...lives])
    progress?.(seen)
  }
  await target.serves()
  const after = await target.call('settle', { expected: {}, patienceMs: DEADLINE_MS, sockets: before.sockets, collect: true })
  const grown = after.resident - before.resident
  if (after.differences.length > 0) throw new Error(after.differences.join('; '))
  if (grown > GROWTH_BYTES) throw new Error(`resident memory grew by ${grown >> 20} MiB`)
  if (after.sockets > before.sockets) throw new Error(`${after.sockets} sockets, not ${before.sockets}`)
  target.stop()
  const counted = Object.entries(after.counters).filter(([name]) => name.startsWith('rejected.')).reduce((sum, [name, count]) => sum + count - before.counters[name], 0)
  return { ...seen, counted, ms: performance.now() - started, grown, slowest, refused: expected }
}

async function allocated(target, seed, name, length) {
  const region = await target.call('alloc', { name, length, access: 'readwrite' })
  return { ...region, bytes: contentOf(seed, region) }
}

/** One session: what comes back is compared byte by byte. One in sixteen is cut by a reset somewhere. */
async function one(target, generator, random, seen, expected) {
  const isLegacy = random.below(8) === 0
  const isReset = random.below(16) === 0
  const from = `127.${1 + random.below(100)}.${random.below(200)}.${1 + random.below(200)}`
  const session = generator.session({ legacy: isLegacy })
  const { stream, refused } = session
  const connection = await (isLegacy ? legacy(target.port, { from }) : native(target.port, {}, { from }))
  try {
    seen.sessions++
    if (isReset) {
      seen.resets++
      await connection.writeAll(stream.subarray(0, random.below(stream.length + 1)))
      connection.reset()
      // How much of it was looked at nobody knows.
      return
    }
    connection.write(stream)
    connection.end()
    const heard = await connection.rest(10 * DEADLINE_MS)
    const wanted = Buffer.concat(session.expected)
    if (!heard.equals(wanted)) throw new Error(mistake(heard, wanted, session, isLegacy))
    if (connection.leaked) throw new Error('bytes came out that nobody may read')
    seen.requests += session.requests
    seen.hostile += refused.length
    for (const status of refused) expected[status] = (expected[status] ?? 0) + 1
  } finally {
    connection.reset()
  }
}

function mistake(heard, wanted, { requests }, isLegacy) {
  let at = 0
  while (heard[at] === wanted[at] && at < heard.length) at++
  const part = (bytes) => bytes.toString('hex', at, at + 16)
  return `${isLegacy ? 'legacy' : 'native'} session of ${requests} requests: ${heard.length} bytes came back, ${wanted.length} were expected, different from byte ${at} on: ${part(heard)}, not ${part(wanted)}`
}

/** Counters, sockets and every byte, while nobody asks for anything. */
async function looked(target, before, seen, expected) {
  const names = Object.entries(expected).map(([status, count]) => [`rejected.${STATUS_NAMES[status]}`, count])
  const wanted = Object.fromEntries(names.map(([name, count]) => [name, before.counters[name] + count]))
  const now = await target.call('settle', { expected: wanted, patienceMs: DEADLINE_MS, sockets: before.sockets })
  seen.looks++
  if (now.differences.length > 0) throw new Error(now.differences.join('; '))
  for (const [name, count] of Object.entries(wanted)) {
    // Sessions that were reset may have added some.
    if (now.counters[name] < count) throw new Error(`${name} is ${now.counters[name]}, at least ${count} were refused`)
  }
}

