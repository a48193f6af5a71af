/** How many steps of a tenfold {@link Spread} has: 40, so that each is 5.9 % wider than the one before. */
export const PER_DECADE = 40

/** Latencies by steps of equal ratio: `counts[i]` of them took from `10 ** ((first + i) / perDecade)` µs to less than the next such bound. */
export interface Spread {
  perDecade: number
  first: number
  counts: number[]
}

// A double's exponent and the first 11 bits of its fraction: 2,048 cells for each doubling, so that no latency is told more than
// 0.025 % wrongly. Sorted lists would be exact and grow by 8 bytes for each of a million operations a second.
const FRACTION_BITS = 11
const SHIFT = 20 - FRACTION_BITS
const CELLS_PER_OCTAVE = 1 << FRACTION_BITS
const LOWEST_US = 2 ** -7
const OCTAVES = 40

const scratch = new Float64Array(1)
const words = new Uint32Array(scratch.buffer)
// Which of a double's two words has its exponent.
scratch[0] = 1
const HIGH = words[1] === 0 ? 0 : 1

function topOf(us: number): number {
  scratch[0] = us
  return (words[HIGH] as number) >>> SHIFT
}

const FIRST_TOP = topOf(LOWEST_US)
const CELLS = OCTAVES * CELLS_PER_OCTAVE

function middleOf(cell: number): number {
  const top = FIRST_TOP + cell
  scratch[0] = 0
  words[HIGH] = top << SHIFT
  const low = scratch[0]
  words[HIGH] = (top + 1) << SHIFT
  return (low + scratch[0]) / 2
}

/** Latencies in microseconds, any number of them in memory of one size. */
export class Latencies {
  readonly #cells = new Float64Array(CELLS)
  #count = 0
  #min = Number.POSITIVE_INFINITY
  #max = 0

  get count(): number {
    return this.#count
  }

  /** Exact; not a number where there are none. */
  get min(): number {
    return this.#count === 0 ? Number.NaN : this.#min
  }

  /** Exact; not a number where there are none. */
  get max(): number {
    return this.#count === 0 ? Number.NaN : this.#max
  }

  add(us: number): void {
    const cell = topOf(us) - FIRST_TOP
    const bounded = us < LOWEST_US ? 0 : cell < CELLS ? cell : CELLS - 1
    this.#cells[bounded] = (this.#cells[bounded] as number) + 1
    this.#count++
    if (us < this.#min) this.#min = us
    if (us > this.#max) this.#max = us
  }

  /** The latency that a share of `quantile` of them does not exceed (nearest rank); not a number where there are none. */
  percentile(quantile: number): number {
    if (this.#count === 0) return Number.NaN
    const rank = Math.min(this.#count, Math.max(1, rankOf(this.#count * quantile)))
    if (rank === this.#count) return this.#max
    let seen = 0
    let cell = -1
    while (seen < rank) seen += this.#cells[++cell] as number
    return Math.min(this.#max, Math.max(this.#min, middleOf(cell)))
  }

  /** The same where there are enough of them for some to lie beyond it; else null. */
  honest(quantile: number): number | null {
    return this.#count >= fewestFor(quantile) ? this.percentile(quantile) : null
  }

  spread(perDecade = PER_DECADE): Spread {
    if (this.#count === 0) return { perDecade, first: 0, counts: [] }
    const stepOf = (us: number): number => Math.floor(Math.log10(Math.max(us, LOWEST_US)) * perDecade)
    const within = (us: number): number => Math.min(this.#max, Math.max(this.#min, us))
    const first = stepOf(this.#min)
    const counts = Array.from({ length: stepOf(this.#max) - first + 1 }, () => 0)
    for (let cell = 0; cell < CELLS; cell++) {
      const count = this.#cells[cell] as number
      if (count > 0) counts[stepOf(within(middleOf(cell))) - first]! += count
    }
    return { perDecade, first, counts }
  }
}

// 0.99 × 100 is a little more than 99 in binary, and would make the 100th of 100 out of their 99th.
function rankOf(product: number): number {
  return Math.ceil(product - 1e-9)
}

/** Of how many latencies at least one lies beyond a percentile: 100 for p99, 1,000 for p99.9. */
export function fewestFor(quantile: number): number {
  return Math.ceil(1 / (1 - quantile) - 1e-6)
}

/** The bound, in µs, at which step `index` of a spread begins. */
export function boundOf({ perDecade, first }: Pick<Spread, 'perDecade' | 'first'>, index: number): number {
  return 10 ** ((first + index) / perDecade)
}

/** The same latencies by fewer steps; `perDecade` has to divide the present one. */
export function coarser(spread: Spread, perDecade: number): Spread {
  const by = spread.perDecade / perDecade
  if (!Number.isInteger(by)) throw new RangeError(`${spread.perDecade} steps are no multiple of ${perDecade}`)
  const first = Math.floor(spread.first / by)
  const last = Math.floor((spread.first + spread.counts.length - 1) / by)
  const counts = Array.from({ length: Math.max(0, last - first + 1) }, () => 0)
  spread.counts.forEach((count, index) => {
    counts[Math.floor((spread.first + index) / by) - first]! += count
  })
  return { perDecade, first, counts }
}
