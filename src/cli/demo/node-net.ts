/**
 * `node:net`, for reads one at a time as a good engineer writes them: a question of 16 bytes, answered by the bytes themselves,
 * uncopied where they leave and received in the very memory where they belong.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Link, Served } from './link.js'

const QUESTION_BYTES = 16
/** What the socket receives at a time at most. */
const CHUNK_BYTES = 64 << 10

/** Runs in the target. */
export async function serveNet(memory: Uint8Array): Promise<Served & { port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    let question: Buffer = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      question = question.length === 0 ? chunk : Buffer.concat([question, chunk])
      for (; question.length >= QUESTION_BYTES; question = question.subarray(QUESTION_BYTES)) {
        const offset = question.readDoubleLE(0)
        socket.write(memory.subarray(offset, offset + question.readDoubleLE(8)))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Runs in the initiator. */
export async function dialNet(port: number, bytes: number): Promise<Link> {
  // Beyond its end the last piece of a body has room for all that a socket may bring at once.
  const memory = new Uint8Array(bytes + CHUNK_BYTES)
  let at = 0
  let left = 0
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: () => memory.subarray(at, at + CHUNK_BYTES),
      callback(count) {
        at += count
        left -= count
        if (left === 0) settle?.resolve()
        return true
      },
    },
  })
  await once(socket, 'connect')
  socket.on('error', () => {})
  socket.on('close', () => settle?.reject(new Error('node:net: the connection was closed')))
  const question = Buffer.alloc(QUESTION_BYTES)
  return {
    memory: memory.subarray(0, bytes),
    read(offset, length) {
      ;[at, left] = [offset, length]
      question.writeDoubleLE(offset, 0)
      question.writeDoubleLE(length, 8)
      return new Promise<void>((resolve, reject) => {
        settle = { resolve, reject }
        socket.write(question)
      })
    },
    async close() {
      socket.destroy()
      if (!socket.closed) await once(socket, 'close')
    },
  }
}
