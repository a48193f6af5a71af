/** The measuring loops, the same for every contender whose initiator is JavaScript. Times are in microseconds. */
import { percentile, sort } from '../stats.mjs'
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
  return { n: count, late_us: percentile(sorted, 0.5), worst_us: sorted.at(-1), there }
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
    max_us: sorted.at(-1),
  }
}
