/** What the keys of figures mean: their title, and which of two is the better one. */

const TITLES = {
  gbps: 'GB/s',
  ops: 'operations/s',
  cpu_s_per_gb: 'CPU s/GB',
  delay_ms: 'loop delay p99 ms',
  beside_gbps: 'GB/s of the write',
  late_ms: 'p50 ms late',
  late_p99_ms: 'p99 ms late',
  worst_ms: 'worst ms late',
  there: 'in place',
  kib: 'KiB resident a peer',
  initiator_kib: 'the initiator, KiB',
  target_kib: 'the target, KiB',
  wakes: 'wake-ups/s of I/O threads',
  node_wakes: "wake-ups/s of Node's threads",
  cpu_ms: 'ms of processor/s',
  rss_mib: 'MiB resident',
  bare_mib: 'MiB before serving',
  growth_mib: 'MiB grown',
  growth_initiator_mib: 'the initiator, MiB',
  growth_target_mib: 'the target, MiB',
  idle_p99_us: 'p99 µs alone',
  times_idle: 'times its p99 alone',
}

const HIGHER = /^(gbps|.*_gbps|ops|.*_per_s)$/
/** These tell about the turn, or of one operation alone, and nobody is better by them. */
const NEITHER = /^(bare_mib|connections|there|max_.*)$/
const UNITS = { us: 'µs', ms: 'ms', ns: 'ns', s: 's', mib: 'MiB', kib: 'KiB', bytes: 'bytes' }
const LOWER = new RegExp(`^(times_.*|cpu_s_per_.*|.*_(${Object.keys(UNITS).join('|')}))$`)

export function titleOf(key) {
  if (TITLES[key]) return TITLES[key]
  const words = key.split('_')
  const unit = UNITS[words.at(-1)]
  if (unit) words[words.length - 1] = unit
  return words.join(' ').replace(/\bp(99|50)(\d+)\b/, 'p$1.$2')
}

/** `higher`, `lower`, or null where figures are not compared. */
export function betterOf(key) {
  if (NEITHER.test(key)) return null
  if (HIGHER.test(key)) return 'higher'
  return LOWER.test(key) ? 'lower' : null
}

/** How many times better memlane is by a figure with a `ratio` to it; below 1 it is worse. Null where nothing is compared. */
export function advantage(key, { ratio } = {}) {
  const better = betterOf(key)
  if (better === null || !(ratio > 0)) return null
  return better === 'higher' ? ratio : 1 / ratio
}

export function isThere(contender) {
  return contender !== undefined && contender.absent === undefined
}

/** The figure itself: of all rounds together where they were pooled, else the median over them. */
export function medianOf(contender, key) {
  const { pooled, median } = contender?.figures?.[key] ?? {}
  const value = pooled?.value ?? median
  return Number.isFinite(value) ? value : null
}

/** A percentile (`p50`, `p99`, `p999`) in microseconds, whichever unit the row has it in; null where there is none. */
export function latencyOf(contender, name) {
  const us = medianOf(contender, `${name}_us`)
  const ms = medianOf(contender, `${name}_ms`)
  return us ?? (ms === null ? null : ms * 1000)
}

/** A duration of so many microseconds, in the unit in which it reads best. */
export function duration(us, number) {
  if (us < 1000) return `${number(us)} µs`
  return us < 1e6 ? `${number(us / 1000)} ms` : `${number(us / 1e6)} s`
}

const SIZES = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }

/** `{ op, bytes, rest }` of a row such as `read-64KiB-16`; null for others. */
export function sizeOf({ id }) {
  const [, op, count, unit, rest = ''] = /^(read|write)-(\d+)(B|KiB|MiB|GiB)(?:-(.+))?$/.exec(id) ?? []
  return op ? { op, bytes: Number(count) * SIZES[unit], rest } : null
}

/** 65536 → 64 KiB. */
export function bytesText(bytes) {
  const [unit, size] = Object.entries(SIZES).findLast(([, of]) => bytes >= of)
  return `${bytes / size} ${unit}`
}
