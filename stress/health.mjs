import { readdirSync, readlinkSync } from 'node:fs'

/** How long connections that nobody needs any more may take to go on a busy machine. */
const SETTLING_MS = 10_000

/** What a process has of the system, after as much collection as helps. */
export async function health() {
  for (let turn = 0; turn < 8; turn++) {
    globalThis.gc()
    await new Promise(setImmediate)
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  const threads = readdirSync('/proc/self/task').length
  return { sockets: sockets(), threads, held: mebibytes(heapUsed + external), resident: mebibytes(rss) }
}

function mebibytes(bytes) {
  return Math.round(bytes / 2 ** 20)
}

/** Waits until the process has so many sockets; how many it has in the end. */
export async function settled(wanted) {
  const deadline = performance.now() + SETTLING_MS
  while (sockets() !== wanted && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10))
  return sockets()
}

function sockets() {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

/**
 * What a process may have more of each at its end. Sockets and threads: nothing. Memory that JavaScript holds: its caches and
 * compiled code. Resident memory: what the collector and the allocators of all threads keep for the next time, measured at
 * 110 MiB after any number of seconds; regions alone would be hundreds of MiB in half a minute if they were not given back.
 */
const TOLERANCE = { sockets: 0, threads: 0, held: 32, resident: 128 }
const UNITS = { sockets: 'sockets', threads: 'threads', held: 'MiB held', resident: 'MiB resident' }

/** In words, what a process has more at its end than at its start. */
export function leaks(before, after) {
  return Object.keys(TOLERANCE)
    .filter((key) => after[key] > before[key] + TOLERANCE[key])
    .map((key) => `${after[key]} ${UNITS[key]} at the end, ${before[key]} at the start`)
}
