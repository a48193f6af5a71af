/** The values in ascending order. */
export function sorted(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort()
}

/** The smallest value that `share` of all are not above (nearest rank); `NaN` of none. */
export function percentile(inOrder: Float64Array, share: number): number {
  return inOrder[Math.max(0, Math.ceil(inOrder.length * share) - 1)] ?? Number.NaN
}
