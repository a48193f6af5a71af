/** Contenders in Python: both processes, connected and checked once; `python/pair.py` has the loops. */
import { fileURLToPath } from 'node:url'

import { refuse } from './pattern.mjs'
import { Program } from './program.mjs'
import { PYTHON } from './provision.mjs'

const PAIR = fileURLToPath(new URL('../python/pair.py', import.meta.url))
const CHECKED_BATCH = { entries: 1000, bytes: 64 }

/** `module` is a file of `python/`; `env` is set in both processes. */
export async function startPython(module, { bytes, placement }, env = {}) {
  const program = (role) => {
    const command = [PYTHON, PAIR, role, module, bytes]
    return new Program(`the ${role} in Python`, command, { cpu: placement[role], env, quiet: true })
  }
  const [target, initiator] = [program('target'), program('initiator')]
  const stop = () => Promise.all([initiator.stop(), target.stop()])
  try {
    const addresses = await Promise.all([target, initiator].map((side) => side.ask({ call: 'address' })))
    // Both ends at once, because some libraries accept only while they connect.
    await Promise.all([
      target.ask({ call: 'connect', initiator: addresses[1].address }),
      initiator.ask({ call: 'connect', target: addresses[0].address }),
    ])
    await verify(target, initiator)
  } catch (error) {
    await stop()
    throw error
  }
  const both = [target, initiator]
  return {
    run: (row) => run(target, initiator, row),
    pause: () => both.forEach((side) => side.pause()),
    resume: () => both.forEach((side) => side.resume()),
    stop,
  }
}

async function verify(target, initiator) {
  refuse(await initiator.ask({ call: 'move', op: 'read' }), 'read')
  await target.ask({ call: 'wipe' })
  await initiator.ask({ call: 'move', op: 'write' })
  refuse(await target.ask({ call: 'difference' }), 'write')
  refuse(await initiator.ask({ call: 'move_batch', ...CHECKED_BATCH }), 'batch')
}

async function run(target, initiator, { busy = false, ...row }) {
  if (busy) await target.ask({ call: 'busy', wanted: true })
  const before = await target.ask({ call: 'cpu' })
  const { cpu_s, ...result } = await initiator.ask({ call: 'run', ...row })
  const after = await target.ask({ call: 'cpu' })
  if (busy) await target.ask({ call: 'busy', wanted: false })
  return { ...result, cpu_s: { initiator: cpu_s, target: after.cpu_s - before.cpu_s } }
}
