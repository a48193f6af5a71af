/** A well-behaved client in a process of its own: it reads in a loop, checks every byte, and knows how long each read took. */
import { setImmediate as turn } from 'node:timers/promises'
import { answerCalls } from '../../bench/support/channel.mjs'
import { authenticated, native } from './connection.mjs'
import { FRAME_BYTES, OK, read } from './wire.mjs'

/** An address that nobody else comes from: limits per source are not this client's. */
const FROM = '127.0.0.2'
const PATIENCE_MS = 10_000

let lane
let sequence = 0
let reading
let stop = false
let seen = { reads: 0, latencies: [] }

answerCalls(process, {
  async start({ port, token }) {
    lane = token === undefined ? await native(port, {}, { from: FROM }) : await authenticated(port, token, { from: FROM })
  },
  /** Reads `length` bytes again and again, `pauseMs` apart. */
  read({ address, expected, pauseMs }) {
    stop = false
    reading = loop(address, Buffer.from(expected), pauseMs)
    // Looked at by whoever stops it.
    reading.catch(() => {})
  },
  mark() {
    seen = { reads: 0, latencies: [] }
  },
  /** Milliseconds of each read since the last `mark`. Fails if one did, or if none ends from now on: a loop that hangs is no good client. */
  async look() {
    const { reads } = seen
    const deadline = performance.now() + PATIENCE_MS
    while (seen.reads === reads && lane.closed === undefined && performance.now() < deadline) await turn()
    if (lane.closed !== undefined) await reading
    if (seen.reads === reads) throw new Error(`no read in ${PATIENCE_MS} ms`)
    return seen.latencies
  },
  async stop() {
    stop = true
    await reading
  },
})

process.on('disconnect', () => process.exit())

async function loop(address, expected, pauseMs) {
  const request = read(address, expected.length)
  while (!stop) {
    const started = performance.now()
    lane.write(request)
    const answer = await lane.take(FRAME_BYTES + expected.length, PATIENCE_MS)
    if (answer.readUInt32LE(0) !== sequence++ || answer.readUInt32LE(4) !== OK) throw new Error(`another answer: ${answer.toString('hex', 0, 8)}`)
    if (!answer.subarray(FRAME_BYTES).equals(expected)) throw new Error('other bytes than the region holds')
    seen.latencies.push(performance.now() - started)
    seen.reads++
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}
