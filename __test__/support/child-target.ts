// A target in a process of its own. It publishes what it is told to, and blocks its own event loop on demand.
import { TcpEndpoint } from 'memlane'
import { endWithParent } from './child-parent'
import { counting, fill } from './pair'

const DEADLINE_MS = 30_000

async function main(): Promise<void> {
  endWithParent()
  const endpoint = await TcpEndpoint.listen()
  const data = endpoint.alloc('data', 1 << 20, { access: 'readwrite' })
  fill(data.buffer, counting(data.length))
  const blocked = endpoint.alloc('blocked', 8, { access: 'read' })
  const release = endpoint.alloc('release', 4, { access: 'write' })
  process.on('message', ({ command }: { command: string }) => {
    if (command === 'block') process.send?.({ left: block(blocked.buffer, release.buffer) })
    else process.exit()
  })
  process.channel?.ref()
  process.send?.({ info: endpoint.endpointInfo() })
}

/**
 * Blocks this thread until a peer has written to `release`, and says so in `flag` all the time: word 0 is 1 while it blocks,
 * word 1 counts its turns.
 */
function block(flag: ArrayBuffer, release: ArrayBuffer): 'released' | 'gave up' {
  const words = new Int32Array(flag)
  const released = new Int32Array(release)
  const deadline = performance.now() + DEADLINE_MS
  let left: 'released' | 'gave up' = 'gave up'
  Atomics.store(words, 0, 1)
  while (performance.now() < deadline) {
    Atomics.add(words, 1, 1)
    if (Atomics.load(released, 0) !== 0) {
      left = 'released'
      break
    }
  }
  Atomics.store(words, 0, 0)
  return left
}

void main()
