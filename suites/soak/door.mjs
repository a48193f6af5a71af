/**
 * A process through whose door somebody comes and goes all the time, and in which nothing else happens: what a connection leaves
 * behind shows here long before it shows in those that are busy.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { TcpContext, TcpEndpoint } from 'memlane'
import { health } from '../../stress/health.mjs'

const VISITORS = 4
const PAUSE_MS = 5
const [tokens] = process.argv.slice(2).map((text) => JSON.parse(text))

process.once('disconnect', () => process.exit(9))

const target = await TcpEndpoint.listen({ tokens, maxConnectionsPerSource: 1024 })
target.alloc('door', 4096, { access: 'readwrite' })
const failures = []
let visits = 0

// A context of its own: each connect of the only peer in it makes a connection.
async function visit() {
  const endpoint = await TcpEndpoint.listen({ context: new TcpContext({ tokens }) })
  for (;;) {
    try {
      const peer = await endpoint.connect(`tcp://127.0.0.1:${target.port}`, { timeoutMs: 20_000 })
      await peer.read('door', { length: 64 })
      await peer.close()
      visits++
    } catch (error) {
      failures.push(error.stack)
    }
    await delay(PAUSE_MS)
  }
}

for (let visitor = 0; visitor < VISITORS; visitor++) void visit()
process.on('message', async () => process.send({ ...(await health()), visits, failures: failures.splice(0) }))
process.send('ready')
