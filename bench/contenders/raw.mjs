/**
 * The measure: a pair of blocking-socket programs (`bench/raw`), which shows what the kernel and the machine leave to
 * anybody. Its variant is fixed: system calls of 1 MiB.
 */
import { spawnSync } from 'node:child_process'

import { cargoProgram } from '../support/cargo.mjs'
import { refuse } from '../support/pattern.mjs'
import { Program } from '../support/program.mjs'
import { hostOf } from '../support/spawn.mjs'

export const name = 'raw'

/**
 * `raw:2` is the same over two connections, an equal share of every operation on each; `raw:auto` leaves the socket buffers to
 * the kernel.
 */
export const variantName = (variant) => (variant === 'auto' ? "raw, the kernel's buffers" : `raw, ${variant} connections`)

export function start({ variant = '1', ...options }) {
  const choice = variant === 'auto' ? { buffers: 'auto' } : { connections: Number(variant) }
  return startRaw({ ...options, ...choice })
}

export const version = () => spawnSync('rustc', ['--version'], { encoding: 'utf8' }).stdout.trim()

/** Both programs, started and connected; `callBytes` varies the one choice that the fixed variant leaves. */
export async function startRaw({ bytes, placement, connections = 1, callBytes = 1 << 20, buffers = 'fixed' }) {
  const binary = cargoProgram('raw')
  const common = ['--bytes', bytes, '--call', callBytes, '--host', hostOf(placement.target), '--buffers', buffers]
  const at = (place) => ({ cpu: place })
  const target = new Program('the target of bench/raw', [binary, 'target', ...common], at(placement.target))
  const { port } = await target.answer()
  const dial = [binary, 'initiator', ...common, '--port', port, '--connections', connections]
  const initiator = new Program('the initiator of bench/raw', dial, at(placement.initiator))
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
