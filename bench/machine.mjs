/** Where a run was made, for the JSON and the first lines. */
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import os from 'node:os'

export function machine({ text }) {
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: os.availableParallelism(),
    memory_gib: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    arch: os.arch(),
    load_average: Number(os.loadavg()[0].toFixed(2)),
    placement: text,
  }
}

export function versions() {
  const { version } = createRequire(import.meta.url)('../package.json')
  return { memlane: version, node: process.versions.node, v8: process.versions.v8, rustc: rustc() }
}

function rustc() {
  try {
    return execFileSync('rustc', ['--version'], { encoding: 'utf8' }).trim()
  } catch {
    return null
  }
}
