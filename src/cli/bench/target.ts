/** The target of a bench without one: a process of its own, whose JavaScript has nothing to do with being read and written. */
import { TcpEndpoint, type MemoryRegion, type PeerInfo } from '../../../index.js'
import { startBursts } from '../bursts.js'
import { answerCalls } from '../calls.js'
import { fillPattern, firstDifference } from './pattern.js'

let region: MemoryRegion

const memory = (): Uint8Array => new Uint8Array(region.buffer)

async function serve({ name, bytes }: { name: string; bytes: number }): Promise<PeerInfo> {
  const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
  region = endpoint.alloc(name, bytes, { access: 'readwrite' })
  fillPattern(memory())
  return endpoint.endpointInfo()
}

answerCalls({
  serve,
  wipe: () => void memory().fill(0),
  firstDifference: () => firstDifference(memory()),
  busy: () => void startBursts(),
})
// A terminal interrupts both processes; the one that was started by a person says when it is over.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
