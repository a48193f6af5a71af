/**
 * The measure: a pair of blocking-socket programs (`bench/raw`), which shows what the kernel and the machine leave to
 * anybody. Its variant is fixed: system calls of 1 MiB.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { ended } from '../support/spawn.mjs'

export const name = 'raw'

export const start = (options) => startRaw(options)

const FOLDER = new URL('../raw/', import.meta.url)

let binary = null

/** Both programs, started and connected; `callBytes` varies the one choice that the fixed variant leaves. */
export async function startRaw({ bytes, placement, callBytes = 1 << 20 }) {
  binary ??= build()
  const options = (cpu) => ['--bytes', bytes, '--call', callBytes, ...(cpu === null ? [] : ['--cpu', cpu])]
  const target = new Program(['target', ...options(placement.target)])
  const { port } = await target.answer()
  const initiator = new Program(['initiator', '--port', port, ...options(placement.initiator)])
  await initiator.answer()
  return {
    async run({ op, bytes: size, count, warmup }) {
      if (warmup > 0) await initiator.ask(`${op} ${size} ${warmup}`)
      const before = await target.ask('cpu')
      const { cpu_s, ...result } = await initiator.ask(`${op} ${size} ${count}`)
      const after = await target.ask('cpu')
      return { ...result, cpu_s: { initiator: cpu_s, target: after.cpu_s - before.cpu_s } }
    },
    stop: () => Promise.all([initiator.stop(), target.stop()]),
  }
}

/** Cargo does nothing when the programs are fresh, and its word on that is better than a look at the clock. */
function build() {
  const manifest = fileURLToPath(new URL('Cargo.toml', FOLDER))
  const folder = fileURLToPath(new URL('target', FOLDER))
  const cargo = spawnSync(
    'cargo',
    ['build', '--release', '--locked', '--quiet', '--manifest-path', manifest, '--target-dir', folder],
    { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' },
  )
  if (cargo.error) throw new Error(`cargo cannot be run: ${cargo.error.message}`)
  if (cargo.status !== 0) throw new Error(`bench/raw does not build:\n${cargo.stderr}`)
  return fileURLToPath(new URL('target/release/memlane-raw', FOLDER))
}

/** One of the two programs: a line in, a line of JSON out; the end of its input ends it. */
class Program {
  #child
  #lines
  #role

  constructor(options) {
    this.#role = options[0]
    this.#child = spawn(binary, options.map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  ask(command) {
    this.#child.stdin.write(`${command}\n`)
    return this.answer()
  }

  async answer() {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`the ${this.#role} of bench/raw ended`)
    return JSON.parse(value)
  }

  stop() {
    this.#child.stdin.end()
    return ended(this.#child)
  }
}
