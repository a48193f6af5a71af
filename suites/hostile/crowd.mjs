/** Many connections at once, in a process of its own so that their descriptors are: what one source can hold open. */
import { connect } from 'node:net'
import { answerCalls } from '../../bench/support/channel.mjs'
import { preface } from './wire.mjs'

/** So many dial at a time: a backlog that overflows is not what is looked at. */
const AT_ONCE = 200

const sockets = new Set()
let again = false
let churned = 0

answerCalls(process, {
  /** Opens `count` connections from `from`, each of which says `bytes` of a preface; how many were connected, and how many of them ended. */
  async open({ port, count, from, bytes }) {
    let left = count
    const counts = { connected: 0, failed: 0 }
    const lane = async () => {
      while (left-- > 0) {
        try {
          await dial(port, from, bytes)
          counts.connected++
        } catch {
          counts.failed++
        }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
    return counts
  },
  held: () => sockets.size,
  /** Dials without a pause until it is stopped, and leaves each connection as it is until the target ends it. */
  churn({ port, from, bytes }) {
    again = true
    churned = 0
    const lane = async () => {
      while (again) {
        await dial(port, from, bytes).catch(() => {})
        churned++
      }
    }
    for (let index = 0; index < 16; index++) void lane()
  },
  stop() {
    again = false
    return churned
  },
  async close() {
    const all = [...sockets]
    for (const socket of all) socket.resetAndDestroy()
    return all.length
  },
})

process.on('disconnect', () => process.exit())

function dial(port, from, bytes) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress: from })
    sockets.add(socket)
    socket.on('error', reject)
    socket.on('close', () => sockets.delete(socket))
    socket.on('connect', () => {
      if (bytes > 0) socket.write(preface().subarray(0, bytes))
      // Reads, so that the end is heard.
      socket.resume()
      resolve()
    })
  })
}
