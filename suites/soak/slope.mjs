/** The median of the slopes between all pairs of points (Theil and Sen): a few wild points do not move it. Per unit of `at`. */
export function slope(points) {
  const slopes = []
  for (const [index, one] of points.entries()) {
    for (const other of points.slice(index + 1)) slopes.push((other.value - one.value) / (other.at - one.at))
  }
  return median(slopes)
}

export function median(values) {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
