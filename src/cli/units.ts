const STEPS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `10.3 MiB`. */
export function sizeText(bytes: number): string {
  let step = 0
  let value = bytes
  while (value >= 1024 && step < STEPS.length - 1) {
    value /= 1024
    step++
  }
  if (step === 0) return bytes === 1 ? '1 byte' : `${bytes} bytes`
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ${STEPS[step]}`
}

/** `1.23 GB/s`: powers of ten, as networks are measured. */
export function rateText(bytesPerSecond: number): string {
  const [value, unit] =
    bytesPerSecond >= 1e9 ? [bytesPerSecond / 1e9, 'GB/s'] : bytesPerSecond >= 1e6 ? [bytesPerSecond / 1e6, 'MB/s'] : [bytesPerSecond / 1e3, 'kB/s']
  return `${three(value)} ${unit}`
}

/** `93.1 µs`, `4.02 ms`, `1.50 s`, `2 min 5 s`, `3 h 7 min`. */
export function durationText(milliseconds: number): string {
  if (milliseconds < 1) return `${three(milliseconds * 1000)} µs`
  if (milliseconds < 1000) return `${three(milliseconds)} ms`
  const seconds = milliseconds / 1000
  if (seconds < 60) return `${three(seconds)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** A number with three digits, or all of its whole ones. */
export function three(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
