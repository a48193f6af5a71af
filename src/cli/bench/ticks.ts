const [LEAST_POWER, MOST_POWER] = [-3, 10]

/** Where a logarithmic axis of microseconds has ticks: at these digits of each power of ten. */
export function ticksBetween(low: number, high: number, digits: readonly number[]): number[] {
  const ticks: number[] = []
  for (let power = LEAST_POWER; power <= MOST_POWER; power++) ticks.push(...digits.map((digit) => Number(`${digit}e${power}`)))
  return ticks.filter((us) => us >= low * (1 - 1e-9) && us <= high * (1 + 1e-9))
}

/** `50 µs`, `2 ms`, `10 s`. */
export function tickText(us: number): string {
  return us < 1 ? `${us * 1000} ns` : us < 1e3 ? `${us} µs` : us < 1e6 ? `${us / 1e3} ms` : `${us / 1e6} s`
}
