/** The program that is lied to: an endpoint that connects to whatever it is told, and looks at its own memory. */
import { randomBytes } from 'node:crypto'
import { openSync, rmSync, writeFileSync } from 'node:fs'
import { TcpEndpoint } from 'memlane'
import { answerCalls } from '../../bench/support/channel.mjs'
import { CANARY } from './layout.mjs'
import { Watched } from './memory.mjs'
import { resident, sockets } from './usage.mjs'

/** Canary all over, but for the range in the middle that an operation is for. */
const LENGTH = 64 << 10
const AT = 5000

let endpoint
let watched
const peers = new Map()
const places = new Map()

answerCalls(process, {
  async start({ path, options, hugeBytes }) {
    endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0, ...options })
    writeFileSync(path, Buffer.alloc(4096, CANARY))
    watched = new Watched(openSync(path, 'r'), 4096)
    rmSync(path)
    for (const [name, length] of [['small', LENGTH], ['large', 8 * LENGTH]]) {
      const region = endpoint.alloc(name, length)
      const view = new Uint8Array(region.buffer)
      view.set(randomBytes(32))
      watched.add(name, view)
      view.set(Buffer.alloc(length, CANARY))
      places.set(name, { region, view })
    }
    watched.retake()
    // Not looked at: what is sent from it is never changed.
    if (hugeBytes > 0) {
      const region = endpoint.alloc('huge', hugeBytes)
      places.set('huge', { region, view: new Uint8Array(region.buffer) })
    }
  },
  async connect({ id, port }) {
    return ended(async () => {
      peers.set(id, await endpoint.connect(`tcp://127.0.0.1:${port}`))
    })
  },
  /** One operation on a range in the middle of a region; its bytes, or its code. */
  async operate({ id, op, region = 'small', length, offset = 0, timeoutMs = 5000 }) {
    const place = places.get(region)
    const peer = peers.get(id)
    const started = performance.now()
    const end = await ended(() => {
      if (op === 'read') return peer.read('kv', { into: place.region, intoOffset: AT, length, remoteOffset: offset, timeoutMs })
      if (op === 'write') return peer.write('kv', place.region, { sourceOffset: AT, length, remoteOffset: offset, timeoutMs })
      return peer.send(place.region, { sourceOffset: AT, length, tag: 3, timeoutMs })
    })
    if (region === 'huge') return { ...end, bytes: Buffer.alloc(0), ms: performance.now() - started }
    // From here on nobody may touch it.
    const bytes = Buffer.from(place.view.subarray(AT, AT + length))
    place.view.fill(0xa5, AT, AT + length)
    watched.expect(region, AT, Buffer.alloc(length, 0xa5))
    return { ...end, bytes, ms: performance.now() - started }
  },
  async disconnect(id) {
    await peers.get(id)?.close()
    peers.delete(id)
  },
  look: () => ({ differences: watched.differences(), resident: resident(), sockets: sockets(), stats: endpoint.stats() }),
})

process.on('disconnect', () => process.exit())

async function ended(run) {
  try {
    await run()
    return { code: 'ok' }
  } catch (error) {
    return { code: error.code, message: error.message }
  }
}
