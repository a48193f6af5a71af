/** The measuring loops, the same for every contender whose initiator is JavaScript. Times are in microseconds. */
import { honestPercentile, percentile, sort } from '../stats.mjs'
import { block } from './burst.mjs'
import { differsAt, MIB } from './pattern.mjs'

/**
 * One operation at a time, `count` of them or until `seconds` have passed. Each starts where the one before it ended,
 * and again at 0 when it would leave the first `span` bytes; without a span all of them use the same bytes.
 */
export async function serial(link, { op, bytes, span = bytes, count = Infinity, seconds = Infinity }) {
  const latencies = []
  const start = performance.now()
  const end = start + seconds * 1000
  let now = start
  for (let offset = 0; latencies.length < count && now < end; offset += bytes) {
    if (offset + bytes > span) offset = 0
    await link[op](offset, bytes)
    const done = performance.now()
    latencies.push((done - now) * 1000)
    now = done
  }
  return { ...summary(latencies, (now - start) / 1000, bytes), latencies }
}

/** `depth` operations at any time, each with a promise of its own, for `seconds`. */
export async function pipelined(link, { op, bytes, depth, seconds }) {
  let stopped = false
  let operations = 0
  const lane = async (slot) => {
    const offset = slot * bytes
    while (!stopped) {
      await link[op](offset, bytes)
      operations++
    }
  }
  const timer = setTimeout(() => (stopped = true), seconds * 1000)
  const start = performance.now()
  await Promise.all(Array.from({ length: depth }, (_, slot) => lane(slot)))
  const elapsed = (performance.now() - start) / 1000
  clearTimeout(timer)
  return { n: operations, seconds: elapsed, ops: operations / elapsed }
}

/** `out` batches of `entries` operations at any time, for `seconds`; an operation is an entry. */
export async function batched(link, { op, bytes, entries, out, seconds }) {
  let operations = 0
  const start = performance.now()
  const end = start + seconds * 1000
  const lane = async (slot) => {
    const run = batchOf(link, { op, bytes, entries, first: slot * entries })
    do {
      await run()
      operations += entries
    } while (performance.now() < end)
  }
  await Promise.all(Array.from({ length: out }, (_, slot) => lane(slot)))
  const elapsed = (performance.now() - start) / 1000
  return { n: operations, seconds: elapsed, ops: operations / elapsed, gbps: (operations * bytes) / elapsed / 1e9 }
}

/** What runs a batch by the contender's own kind of one, or as so many operations at once where it has none. */
export function batchOf(link, { op, bytes, entries, first = 0 }) {
  const offsets = Array.from({ length: entries }, (_, index) => (first + index) * bytes)
  return link.batch?.(op, offsets, bytes) ?? (() => Promise.all(offsets.map((offset) => link[op](offset, bytes))))
}

/**
 * Small reads, one at a time, first alone and then while a large write to the same peer runs, the next one as soon as it
 * ends. Where reads wait for writes few of them fit, so that `seconds` ends it too.
 */
export async function beside(link, { bytes, count, seconds, largeBytes }) {
  const alone = await serial(link, { op: 'read', bytes, count })
  const latencies = []
  const start = performance.now()
  const end = start + seconds * 1000
  let writes = 0
  let writing = 0
  do {
    let running = true
    const from = performance.now()
    const write = link.write(0, largeBytes).finally(() => {
      running = false
      writing += performance.now() - from
    })
    // One that the write's end overtakes was beside it all the same.
    while (running) {
      const begun = performance.now()
      await link.read(0, bytes)
      latencies.push((performance.now() - begun) * 1000)
    }
    await write
    writes++
  } while (latencies.length < count && performance.now() < end)
  const beside_gbps = (writes * largeBytes) / (writing * 1e6)
  return { ...summary(latencies, (performance.now() - start) / 1000, bytes), beside_gbps, idle_p99_us: alone.p99_us }
}

/**
 * A large read is issued and the very next line blocks this event loop. Reports how long after the block the promise
 * resolved, and whether every mebibyte was in place at the moment the block ended.
 */
export async function blockedCaller(link, { bytes, milliseconds, count }) {
  const late = []
  let there = true
  for (let round = 0; round < count; round++) {
    link.memory.fill(0)
    const read = link.read(0, bytes)
    block(milliseconds)
    const back = performance.now()
    for (let at = MIB; at <= bytes; at += MIB) there &&= !differsAt(link.memory, at - 1)
    await read
    late.push((performance.now() - back) * 1000)
  }
  const sorted = sort(late)
  return { n: count, late_us: percentile(sorted, 0.5), worst_us: sorted.at(-1), there, latencies: late }
}

/** What a list of latencies comes to; `seconds` is the time they took together. */
export function summary(latencies, seconds, bytes) {
  const sorted = sort(latencies)
  return {
    n: latencies.length,
    seconds,
    gbps: (latencies.length * bytes) / seconds / 1e9,
    p50_us: percentile(sorted, 0.5),
    p99_us: percentile(sorted, 0.99),
    p999_us: honestPercentile(sorted, 0.999),
    max_us: sorted.at(-1),
  }
}
