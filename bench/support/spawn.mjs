import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * Where the two processes of a contender run. Where the scheduler puts them moves small operations threefold, so
 * every figure states it: a core each when there are two cores and `taskset`, else wherever the system likes.
 */
export function placement() {
  const [target, initiator] = allowedCpus()
  if (initiator === undefined || spawnSync('taskset', ['--version']).status !== 0) {
    return { text: 'free (no two cores, or no taskset)', target: null, initiator: null }
  }
  return { text: `a core each (target on cpu ${target}, initiator on cpu ${initiator})`, target, initiator }
}

/** The processors that this process may use, which in a container need not begin with 0; empty where nobody tells. */
function allowedCpus() {
  try {
    const [, list] = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))
    return list.split(',').flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, index) => first + index)
    })
  } catch {
    return []
  }
}

/** The same placement on one core for both processes, or null where processes cannot be placed. */
export function oneCore({ target }) {
  return target === null ? null : { text: `one core (cpu ${target} for both)`, target, initiator: target }
}

/**
 * The command that runs `command` at a place, all its threads and children included. A place is a core, or null for anywhere,
 * or one end of a road: `{ cpu, enter, host }`, where `enter` is what a command there begins with.
 */
export function pinned(command, place) {
  const { cpu, enter = [] } = ofRoad(place) ?? { cpu: place }
  return [...enter, ...(cpu === null ? [] : ['taskset', '--cpu-list', String(cpu)]), ...command]
}

/** A Node process with a channel to this one, as a whole at the place. */
export function spawnNode(script, place) {
  const [command, ...rest] = pinned([process.execPath, fileURLToPath(script)], place)
  const { host } = ofRoad(place) ?? {}
  return spawn(command, rest, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
    env: host === undefined ? process.env : { ...process.env, [HOST_VARIABLE]: host },
  })
}

const HOST_VARIABLE = 'MEMLANE_BENCH_HOST'

/** Where targets listen and initiators go: this machine, or the target's end of a road. */
export function hostOf(place) {
  return ofRoad(place)?.host ?? process.env[HOST_VARIABLE] ?? '127.0.0.1'
}

function ofRoad(place) {
  return typeof place === 'object' ? place : null
}

/** Resolves when the process has ended; ends it by force if it does not go by itself. */
export async function ended(child, patienceMs = 2000) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  await new Promise((resolve) => child.once('exit', resolve))
  clearTimeout(timer)
}
