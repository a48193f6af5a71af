import { readdirSync, readFileSync } from 'node:fs'
import { median, slope } from './slope.mjs'

/**
 * By how much each may grow from the middle of a run to its end, by its slope. Memory: what the allocator and the collector take
 * and give back between two collections moves by a few MiB. Descriptors and threads come and go with connections and workers.
 */
const GROWTH = { resident: 16, held: 8, descriptors: 12, threads: 2 }
/** The same of a process in which connections come and go, and nothing else. */
const QUIET_GROWTH = { resident: 4, held: 3, descriptors: 6, threads: 1 }
/** In its first minutes a process grows to what it needs: a shorter run sees that, and may have so much more of each. */
const LONG_MINUTES = 10
const YOUTH = { resident: 48, held: 40, descriptors: 0, threads: 0 }
const QUIET_YOUTH = { resident: 12, held: 4, descriptors: 0, threads: 0 }
const UNITS = { resident: 'MiB resident', held: 'MiB held by JavaScript', descriptors: 'descriptors', threads: 'threads' }

/** What the system says of a process; undefined of one that has gone. */
export function ofSystem(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const figure = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1])
    return { rss: Math.round(figure('VmRSS') / 1024), threads: figure('Threads'), descriptors: readdirSync(`/proc/${pid}/fd`).length }
  } catch {
    return undefined
  }
}

/** Figures of each process over time. */
export class Samples {
  #of

  #quiet

  /** @param quiet how many of the processes, at the end of the list, have nothing but connections */
  constructor(processes, quiet) {
    this.#of = Array.from({ length: processes }, () => [])
    this.#quiet = processes - quiet
  }

  add(minutes, process, sample) {
    this.#of[process].push({ minutes, ...sample })
  }

  /** Slopes over the second half, per minute, of every process. */
  verdict(minutes) {
    return this.#of.flatMap((samples, process) => {
      const late = samples.filter((sample) => sample.minutes >= minutes / 2)
      if (late.length < 4) return []
      const [most, youth] = process < this.#quiet ? [GROWTH, YOUTH] : [QUIET_GROWTH, QUIET_YOUTH]
      return Object.keys(most).map((figure) => {
        const growth = most[figure] + (minutes < LONG_MINUTES ? youth[figure] : 0)
        const values = late.map((sample) => sample[figure])
        const perMinute = slope(late.map((sample) => ({ at: sample.minutes, value: sample[figure] })))
        const bound = growth / (minutes / 2)
        const range = `${Math.min(...values)} to ${Math.max(...values)}, median ${median(values)} ${UNITS[figure]}`
        return { process, figure, perMinute, bound, flat: perMinute <= bound, range }
      })
    })
  }
}
