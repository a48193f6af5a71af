/**
 * The measure: a pair of blocking-socket programs (`bench/raw`), which shows what the kernel and the machine leave to
 * anybody. Its variant is fixed: system calls of 1 MiB.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { refuse } from '../support/pattern.mjs'
import { Program } from '../support/program.mjs'

export const name = 'raw'

/** `raw:2` is the same over two connections, an equal share of every operation on each. */
export const variantName = (variant) => `raw, ${variant} connections`

export const start = ({ variant = '1', ...options }) => startRaw({ ...options, connections: Number(variant) })

export const version = () => spawnSync('rustc', ['--version'], { encoding: 'utf8' }).stdout.trim()

const FOLDER = new URL('../raw/', import.meta.url)

let binary = null

/** Both programs, started and connected; `callBytes` varies the one choice that the fixed variant leaves. */
export async function startRaw({ bytes, placement, connections = 1, callBytes = 1 << 20 }) {
  binary ??= build()
  const options = (cpu) => ['--bytes', bytes, '--call', callBytes, ...(cpu === null ? [] : ['--cpu', cpu])]
  const dial = (port) => ['--port', port, '--connections', connections, ...options(placement.initiator)]
  const target = new Program('the target of bench/raw', [binary, 'target', ...options(placement.target)])
  const { port } = await target.answer()
  const initiator = new Program('the initiator of bench/raw', [binary, 'initiator', ...dial(port)])
  await initiator.answer()
  const stop = () => Promise.all([initiator.stop(), target.stop()])
  try {
    await verify(target, initiator, bytes)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    async run({ op, bytes: size, span = size, count, warmup }) {
      if (warmup > 0) await initiator.ask(`${op} ${size} ${warmup} ${span}`)
      const before = await target.ask('cpu')
      const { cpu_s, ...result } = await initiator.ask(`${op} ${size} ${count} ${span}`)
      const after = await target.ask('cpu')
      return { ...result, cpu_s: { initiator: cpu_s, target: after.cpu_s - before.cpu_s } }
    },
    stop,
  }
}

async function verify(target, initiator, bytes) {
  await initiator.ask('wipe')
  await initiator.ask(`read ${bytes} 1 ${bytes}`)
  refuse(await initiator.ask('check'), 'read')
  await target.ask('wipe')
  await initiator.ask(`write ${bytes} 1 ${bytes}`)
  refuse(await target.ask('check'), 'write')
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
