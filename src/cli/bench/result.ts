import type { Wire } from '../../../index.js'
import type { Machine } from './machine.js'
import { type Latencies, type Spread } from './latencies.js'

export type Op = 'read' | 'write'

/** Operations of one kind and size. Times of operations are microseconds from the call to its end. */
export interface Row {
  op: Op
  bytes: number
  /** How many operations ended, and in how many seconds. */
  n: number
  seconds: number
  /** 10^9 bytes a second. */
  gbps: number
  /** Operations a second. */
  ops: number
  min_us: number
  /** Null where too few operations ended for it. */
  p50_us: number | null
  p90_us: number | null
  p99_us: number | null
  p999_us: number | null
  max_us: number
  /** Shares of the operations and the time that they did not exceed, those that there are enough operations for. */
  percentiles: [share: number, us: number][]
  histogram: Spread
  /** Whether all of its time was measured: not where the run was interrupted or failed in it. */
  complete: boolean
}

/** What a run came to: the JSON of `memlane bench`. */
export interface Result {
  date: string
  command: string
  machine: Machine
  target: {
    /** `own`: a process that the run started; `peer`: somebody else's. */
    kind: 'own' | 'peer'
    /** `host:port`. */
    address: string
    wire: Wire
    region: string
    region_bytes: number
    /** Whether its event loop was blocked for 300 ms of every 310. */
    busy: boolean
    /** Whether every byte of a read and of a write was compared before anything was measured. */
    checked: boolean
  }
  /** When an operation is complete. */
  completion: { read: string; write: string }
  /** Operations under way at any time; where `sizes` are so large that fewer fit beside each other, some have the same bytes. */
  depth: number
  /** Most connections for reads and writes. */
  lanes: number
  /** Of each row, as it was asked for, and before it without being counted. */
  seconds: number
  warmup_seconds: number
  ended: 'complete' | 'interrupted' | 'failed'
  rows: Row[]
  /** Sizes that were asked for and are longer than the region. */
  left_out: number[]
}

/** Enough for a curve; no share has a time by less than {@link Latencies.honest} wants. */
const SHARES = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999] as const

/** A row of what was measured in so many seconds. */
export function rowOf(op: Op, bytes: number, latencies: Latencies, seconds: number, complete: boolean): Row {
  const n = latencies.count
  return {
    op,
    bytes,
    n,
    seconds,
    gbps: (n * bytes) / seconds / 1e9,
    ops: n / seconds,
    min_us: latencies.min,
    p50_us: latencies.honest(0.5),
    p90_us: latencies.honest(0.9),
    p99_us: latencies.honest(0.99),
    p999_us: latencies.honest(0.999),
    max_us: latencies.max,
    percentiles: SHARES.flatMap((share): [number, number][] => {
      const us = latencies.honest(share)
      return us === null ? [] : [[share, us]]
    }),
    histogram: latencies.spread(),
    complete,
  }
}

/** The percentiles that tables have, by their fields of a row. */
export const PERCENTILES = [
  ['p50', 'p50_us', 0.5],
  ['p90', 'p90_us', 0.9],
  ['p99', 'p99_us', 0.99],
  ['p99.9', 'p999_us', 0.999],
] as const

const UNITS = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const

/** `64 B`, `4 KiB`, `1.5 MiB`: as it was asked for, never rounded. */
export function sizeName(bytes: number): string {
  for (const [unit, of] of UNITS) {
    const value = bytes / of
    if (value >= 1 && Number.isInteger(value * 8)) return `${value} ${unit}`
  }
  return `${bytes} B`
}

/** `1,234,567`. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}
