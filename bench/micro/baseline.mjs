/** The committed counts: what they are of, and how others compare. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { SetupError } from '../../scripts/build.mjs'

const FILE = fileURLToPath(new URL('instructions.json', import.meta.url))

/** A path may need so much more or fewer instructions than the baseline says. */
export const TOLERANCE = 0.03

/** Cargo's name of the profile that the programs are built by. */
export const PROFILE = 'bench'

/** What counts depend on beside the sources. */
export function surroundings() {
  const { stdout } = spawnSync('rustc', ['-vV'], { encoding: 'utf8' })
  if (!stdout) throw new SetupError('rustc does not run')
  const [rustc] = stdout.split('\n')
  const [, target] = /^host: (.+)$/m.exec(stdout)
  // The allocator and memcpy are the C library's.
  const glibc = process.report.getReport().header.glibcVersionRuntime
  return { rustc, target, libc: glibc ? `glibc ${glibc}` : 'another libc', profile: PROFILE }
}

export function readBaseline() {
  return existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : { paths: {} }
}

export function writeBaseline(here, counted) {
  const paths = Object.fromEntries(Object.entries(counted).map(([name, value]) => [name, Number(value.toFixed(2))]))
  writeFileSync(FILE, `${JSON.stringify({ ...here, paths }, null, 2)}\n`)
}

/** Why counts made here say nothing about the baseline; null where they do. */
export function incomparable(baseline, here) {
  if (Object.keys(baseline.paths).length === 0) return 'there is no baseline'
  const other = Object.keys(here).find((key) => baseline[key] !== here[key])
  return other === undefined ? null : `the baseline is of ${baseline[other]}, and here is ${here[other]}`
}

/** Every path that was counted, and of those in the baseline that were asked for what was not. */
export function compare(counted, baseline, only) {
  const names = [...Object.keys(counted), ...Object.keys(baseline).filter((name) => name.includes(only) && !(name in counted))]
  return names.map((name) => {
    const value = counted[name] ?? null
    const expected = baseline[name] ?? null
    const difference = value === null || expected === null ? null : value / expected - 1
    return { name, value, expected, difference, verdict: verdict(value, expected, difference) }
  })
}

function verdict(value, expected, difference) {
  if (expected === null) return 'new'
  if (value === null) return 'gone'
  if (Math.abs(difference) <= TOLERANCE) return 'same'
  return difference > 0 ? 'slower' : 'faster'
}
