/** The value that a share of `quantile` of the samples does not exceed (nearest rank). `sorted` is in rising order. */
export function percentile(sorted, quantile) {
  if (sorted.length === 0) return Number.NaN
  const rank = Math.ceil(sorted.length * quantile)
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]
}

/** The same where there are enough samples for some to lie beyond it; else not a number. `sorted` is in rising order. */
export function honestPercentile(sorted, quantile) {
  return sorted.length * (1 - quantile) >= 1 - 1e-9 ? percentile(sorted, quantile) : Number.NaN
}

export function sort(samples) {
  return Float64Array.from(samples).sort()
}

export function median(values) {
  const sorted = sort(values)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** `{ median, lowest, highest }` over the rounds of a run. */
export function overRounds(values) {
  const sorted = sort(values)
  return { median: median(sorted), lowest: sorted[0], highest: sorted.at(-1) }
}
