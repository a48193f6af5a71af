/**
 * The target: publishes a model's bytes in a region, takes writes in another, answers a message. Then its JavaScript has nothing
 * more to do with being read, and may block. The same bytes are offered by the two other transports.
 */
import { createHash, randomFillSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { TcpEndpoint, type MemoryRegion, type PeerInfo } from '../../../index.js'
import { startBursts } from '../bursts.js'
import { answerCalls } from '../calls.js'
import { serveIpc } from './ipc.js'
import { serveNet } from './node-net.js'
import { REPLY, REQUEST, type Offer, type Wish } from './offer.js'

const MADE_UP_BYTES = 10 << 20

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

let inbox: MemoryRegion
let stopBursts: (() => void) | undefined

async function serve({ file, tamper }: Wish): Promise<Offer> {
  const bytes = file === undefined ? randomFillSync(Buffer.alloc(MADE_UP_BYTES)) : readFileSync(file)
  if (bytes.length === 0) throw new Error(`${file} is empty`)
  const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
  const model = endpoint.alloc('model', bytes.length, { access: 'read' })
  const memory = new Uint8Array(model.buffer)
  memory.set(bytes)
  inbox = endpoint.alloc('inbox', bytes.length, { access: 'write' })
  void answerMessage(endpoint, sha256(bytes))
  if (tamper) memory[bytes.length >> 1] = (memory[bytes.length >> 1] as number) ^ 1
  const net = await serveNet(memory)
  serveIpc(memory)
  return { file: file === undefined ? null : basename(file), bytes: bytes.length, info: endpoint.endpointInfo(), netPort: net.port }
}

/** The question brings the endpoint info of whoever asks, so that the answer can be sent to an endpoint never heard of. */
async function answerMessage(endpoint: TcpEndpoint, hash: string): Promise<void> {
  const { data } = await endpoint.recv(new Uint8Array(64 << 10), { tag: REQUEST })
  const { replyTo } = JSON.parse(Buffer.from(data).toString()) as { replyTo: PeerInfo }
  const peer = await endpoint.connect(replyTo)
  await peer.send(Buffer.from(JSON.stringify({ sha256: hash })), { tag: REPLY })
}

answerCalls({
  serve,
  inboxHash: () => sha256(new Uint8Array(inbox.buffer)),
  busy(wanted: boolean) {
    stopBursts?.()
    stopBursts = wanted ? startBursts() : undefined
  },
})
// A terminal interrupts both processes; the one that was started by a person says when it is over.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
