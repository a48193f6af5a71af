/** Eight buckets an octave: what is read out is at most 9 % too long. */
const PER_OCTAVE = 8
const LEAST_MS = 2 ** -6
const BUCKETS = 24 * PER_OCTAVE

/** How long many things took, in memory of fixed size. */
export class Latencies {
  buckets = Array.from({ length: BUCKETS }, () => 0)

  add(milliseconds) {
    const bucket = Math.ceil(Math.log2(Math.max(milliseconds, LEAST_MS) / LEAST_MS) * PER_OCTAVE)
    this.buckets[Math.min(bucket, BUCKETS - 1)]++
  }
}

/** The milliseconds within which that share of them ended; NaN where there were none. */
export function quantile(buckets, share) {
  const wanted = share * buckets.reduce((total, count) => total + count, 0)
  if (wanted === 0) return Number.NaN
  let seen = 0
  const bucket = buckets.findIndex((count) => (seen += count) >= wanted)
  return LEAST_MS * 2 ** (bucket / PER_OCTAVE)
}
