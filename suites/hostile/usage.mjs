/** What a process uses, and what its endpoint has counted. */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'

/** Linux resets the highest resident memory of a process to what it is now. */
const RESET = '5'

export function resetHighest() {
  writeFileSync('/proc/self/clear_refs', RESET)
}

function statusOf(name) {
  const [, kib] = new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(kib) * 1024
}

/** Highest resident bytes since `resetHighest`. */
export const highest = () => statusOf('VmHWM')

/** Resident bytes now. */
export const resident = () => statusOf('VmRSS')

/** Sockets that are open, the engine's and Node's own. */
export function sockets() {
  let count = 0
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')) count++
    } catch {
      // The folder's own descriptor, which is gone by now.
    }
  }
  return count
}

/** The counters that a hostile peer may move, by short names. */
export function countersOf({ rejected, protocolErrors, authFailures, operations, connections }) {
  const counters = { protocolErrors, authFailures, timedOut: operations.timedOut, refused: connections.refused, evicted: connections.evicted }
  for (const [name, count] of Object.entries(rejected)) counters[`rejected.${name}`] = count
  return counters
}
