/** The time of an operation of each path, measured by criterion. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { SetupError, root, say } from '../../scripts/build.mjs'
import { build } from './cargo.mjs'

/** Nanoseconds an operation, with the bounds of criterion's estimate. */
export function time(only) {
  const program = build('time')
  const home = join(root, 'build', 'bench', 'micro')
  rmSync(home, { recursive: true, force: true })
  say('measuring, about a second and a half each')
  // Criterion's own lines are its progress, for a terminal; the table comes from its files.
  const { isTTY } = process.stderr
  const { status, stdout, stderr } = spawnSync(program, [only], {
    cwd: root,
    env: { ...process.env, CRITERION_HOME: home },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', isTTY ? 'inherit' : 'pipe'],
    maxBuffer: 64 << 20,
  })
  if (status !== 0) throw new SetupError(`the measurement failed (${status}): ${stderr?.trim().split('\n').at(-1) ?? 'see above'}`)
  const paths = stdout.split('\n').map((line) => /^path (?<operations>\d+) (?<name>.+)$/.exec(line)?.groups)
  const estimates = estimatesIn(home)
  const measured = paths.flatMap((path) => (path && estimates.has(path.name) ? [{ ...path, ...estimates.get(path.name) }] : []))
  if (measured.length === 0) throw new SetupError('no path has such a name')
  return measured.map(({ name, operations, median }) => {
    const { lower_bound: low, upper_bound: high } = median.confidence_interval
    return { name, ns: median.point_estimate / operations, low: low / operations, high: high / operations }
  })
}

/** What criterion has written, by the path's name. */
function estimatesIn(home) {
  const folders = existsSync(home) ? readdirSync(home).map((name) => join(home, name, 'new')) : []
  const read = (folder, file) => JSON.parse(readFileSync(join(folder, file), 'utf8'))
  const there = folders.filter((folder) => existsSync(join(folder, 'estimates.json')))
  return new Map(there.map((folder) => [read(folder, 'benchmark.json').full_id, read(folder, 'estimates.json')]))
}
