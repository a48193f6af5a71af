/** Programs of the bench's own, in Rust. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const built = new Map()

/**
 * The path of the program in `bench/<name>`, built if it is not fresh: Cargo does nothing then, and its word on that is better
 * than a look at the clock.
 */
export function cargoProgram(name) {
  if (!built.has(name)) built.set(name, build(name, fileURLToPath(new URL(`../${name}/`, import.meta.url))))
  return built.get(name)
}

function build(name, folder) {
  const options = ['--release', '--locked', '--quiet', '--manifest-path', `${folder}Cargo.toml`, '--target-dir', `${folder}target`]
  const cargo = spawnSync('cargo', ['build', ...options], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
  if (cargo.error) throw new Error(`cargo cannot be run: ${cargo.error.message}`)
  if (cargo.status !== 0) throw new Error(`bench/${name} does not build:\n${cargo.stderr}`)
  return `${folder}target/release/memlane-${name}`
}
