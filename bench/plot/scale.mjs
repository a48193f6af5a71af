/** From a figure to a place: `at(value)` in pixels, and the ticks of its axis. */

/** Logarithmic between steps of 1, 2 and 5, or over the `stops` that are given; with ticks at each step, or at the powers of ten. */
export function logScale(values, from, to, { stops = null } = {}) {
  const [low, high] = stops ? [Math.min(...stops), Math.max(...stops)] : ends(values)
  const span = Math.log(high / low) || 1
  const at = (value) => from + (Math.log(value / low) / span) * (to - from)
  return { at, ticks: stops ?? stepsBetween(low, high, Math.log10(high / low) > 2.2 ? [1] : [1, 2, 5]) }
}

function ends(values) {
  const steps = stepsBetween(Math.min(...values) / 5, Math.max(...values) * 5, [1, 2, 5])
  const low = steps.findLast((step) => step <= Math.min(...values))
  const high = steps.find((step) => step >= Math.max(...values) && step > low)
  return [low, high]
}

function stepsBetween(low, high, digits) {
  const [first, last] = [low, high].map((value) => Math.floor(Math.log10(value) + 1e-9))
  const powers = Array.from({ length: last - first + 1 }, (_, index) => first + index)
  const steps = powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)))
  return steps.filter((step) => step >= low * (1 - 1e-9) && step <= high * (1 + 1e-9))
}

/** Linear from zero to a round number above the highest value. */
export function linearScale(values, from, to) {
  const highest = Math.max(...values)
  const rough = highest / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].map((of) => of * power).find((of) => of >= rough)
  const count = Math.ceil(highest / step - 1e-9)
  const at = (value) => from + (value / (step * count)) * (to - from)
  return { at, ticks: Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6))) }
}

/** Places as near to the wanted ones as they can be with `gap` between any two, and none outside `low` to `high`. */
export function spread(wanted, gap, low, high) {
  const order = wanted.map((at, index) => ({ at, index })).sort((one, other) => one.at - other.at)
  let next = low
  for (const one of order) next = (one.at = Math.max(one.at, next)) + gap
  let last = high
  for (const one of order.toReversed()) last = (one.at = Math.min(one.at, last)) - gap
  const places = []
  for (const { at, index } of order) places[index] = at
  return places
}
