import { caller } from './channel.mjs'
import { ended, spawnNode } from './spawn.mjs'

/**
 * Starts the initiator process of a contender, which starts the target process, and connects them. `contender` is the
 * address of a module with `serve` and `dial`. Both processes live until `stop`, so that contenders can take turns.
 */
export async function startPair(contender, { bytes, placement, connections = 1, variant, checked }) {
  const child = spawnNode(new URL('./initiator.mjs', import.meta.url), placement.initiator)
  const call = caller(child, 'the initiator')
  const stop = async () => {
    if (child.connected) child.disconnect()
    await ended(child)
  }
  try {
    await call('open', { contender, bytes, connections, variant, checked, targetCpu: placement.target })
  } catch (error) {
    await stop()
    throw error
  }
  return { run: (row) => call('run', row), stop }
}
