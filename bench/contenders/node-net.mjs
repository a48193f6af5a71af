/**
 * `node:net` as a good engineer writes it: the same 17-byte header, memory allocated once, reads answered by their
 * bytes and writes by one byte, the requests of a tick gathered into one write, and every header of a chunk parsed
 * before the chunk's answers leave together. Bytes of a large read arrive straight in the caller's memory.
 */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'

import { startPair } from '../support/pair.mjs'
import { certificates } from '../support/secured.mjs'
import { hostOf } from '../support/spawn.mjs'

export const name = 'node:net'

/** `node-net:tls` is the same over `node:tls`, TLS 1.3 with AES-128-GCM, both sides showing a certificate. */
export const variantName = (variant) => (variant === 'tls' ? 'node:tls' : `node:net, ${variant}`)

const TLS = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' }

export const start = (options) => startPair(import.meta.url, options)

const HEADER_BYTES = 17
const READ = 1
const WRITE = 2
const APPLIED = 0

/** Below this, copying a body next to others costs less than a piece of its own in the kernel's list. */
const SMALL_BYTES = 4096
const SLAB_BYTES = 64 << 10
const CHUNK_BYTES = 64 << 10

/** Runs in the target. */
export async function serve({ bytes, variant }) {
  const memory = Buffer.alloc(bytes)
  const sockets = new Set()
  const listener = (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    new Session(socket, memory)
  }
  const options = { ...TLS, ...certificates(), requestCert: true, noDelay: true }
  const server = variant === 'tls' ? tls.createServer(options, listener) : net.createServer({ noDelay: true }, listener)
  server.listen(0, hostOf(null))
  await once(server, 'listening')
  return {
    address: server.address().port,
    memory,
    connections: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Runs in the initiator: reads and writes the same offsets of the target's memory and of its own. */
export async function dial({ address, bytes, variant }) {
  const memory = Buffer.alloc(bytes)
  const lane = new Lane(address, memory, variant === 'tls')
  await once(lane.socket, variant === 'tls' ? 'secureConnect' : 'connect')
  return {
    memory,
    read: (offset, length) => lane.request(READ, offset, length),
    write: (offset, length) => lane.request(WRITE, offset, length),
    async close() {
      lane.socket.destroy()
      if (!lane.socket.closed) await once(lane.socket, 'close')
    },
  }
}

class Session {
  #socket
  #memory
  #out
  #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #bodyAt = 0
  #bodyLeft = 0

  constructor(socket, memory) {
    this.#socket = socket
    this.#memory = memory
    this.#out = new Gatherer(socket)
    socket.on('data', (chunk) => this.#receive(chunk))
  }

  #receive(chunk) {
    this.#socket.cork()
    let at = 0
    while (at < chunk.length && !this.#socket.destroyed) {
      if (this.#bodyLeft > 0) at = this.#store(chunk, at)
      else if (this.#headerBytes > 0 || chunk.length - at < HEADER_BYTES) at = this.#keepHeader(chunk, at)
      else {
        this.#begin(chunk, at)
        at += HEADER_BYTES
      }
    }
    this.#out.flush()
    this.#socket.uncork()
  }

  #store(chunk, at) {
    const end = Math.min(chunk.length, at + this.#bodyLeft)
    chunk.copy(this.#memory, this.#bodyAt, at, end)
    this.#bodyAt += end - at
    this.#bodyLeft -= end - at
    if (this.#bodyLeft === 0) this.#out.byte(APPLIED)
    return end
  }

  #keepHeader(chunk, at) {
    const copied = chunk.copy(this.#header, this.#headerBytes, at)
    this.#headerBytes += copied
    if (this.#headerBytes === HEADER_BYTES) {
      this.#headerBytes = 0
      this.#begin(this.#header, 0)
    }
    return at + copied
  }

  #begin(chunk, at) {
    const length = chunk.readUInt32LE(at) + chunk.readUInt32LE(at + 4) * 2 ** 32
    const offset = chunk.readUInt32LE(at + 8) + chunk.readUInt32LE(at + 12) * 2 ** 32
    const opcode = chunk[at + 16]
    if (offset + length > this.#memory.length || (opcode !== READ && opcode !== WRITE)) {
      this.#socket.destroy()
    } else if (opcode === READ) {
      this.#out.body(this.#memory, offset, length)
    } else {
      this.#bodyAt = offset
      this.#bodyLeft = length
    }
  }
}

class Lane {
  socket
  #memory
  #out
  #first = null
  #last = null
  #gathering = false
  #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  #receiveInto = this.#chunk

  constructor(port, memory, isSecured) {
    this.#memory = memory
    const options = {
      port,
      host: hostOf(null),
      noDelay: true,
      onread: {
        buffer: () => this.#receiveInto,
        callback: (count, buffer) => this.#receive(count, buffer),
      },
    }
    this.socket = isSecured ? tls.connect({ ...options, ...TLS, ...certificates() }) : net.connect(options)
    this.#out = new Gatherer(this.socket)
    this.socket.on('error', () => {})
    this.socket.on('close', () => this.#fail(new Error('node:net: the connection was closed')))
  }

  request(opcode, offset, length) {
    return new Promise((resolve, reject) => {
      const operation = { opcode, at: offset, left: opcode === READ ? length : 1, length, resolve, reject, next: null }
      if (this.#last === null) this.#first = operation
      else this.#last.next = operation
      this.#last = operation
      if (!this.#gathering) {
        this.#gathering = true
        this.socket.cork()
        process.nextTick(() => this.#leave())
      }
      this.#out.header(opcode, offset, length)
      if (opcode === WRITE) this.#out.body(this.#memory, offset, length)
    })
  }

  #leave() {
    this.#gathering = false
    this.#out.flush()
    this.socket.uncork()
  }

  #receive(count, buffer) {
    let at = 0
    while (at < count && this.#first !== null) {
      const operation = this.#first
      const bytes = Math.min(count - at, operation.left)
      if (operation.opcode === READ && buffer === this.#chunk) buffer.copy(this.#memory, operation.at, at, at + bytes)
      at += bytes
      operation.at += bytes
      operation.left -= bytes
      if (operation.left === 0) this.#finish(operation)
    }
    this.#receiveInto = this.#nextBuffer()
    return true
  }

  /** The caller's memory itself while a large body is on its way: no copy, and nothing of the next answer follows. */
  #nextBuffer() {
    const operation = this.#first
    if (operation === null || operation.opcode !== READ || operation.left < CHUNK_BYTES) return this.#chunk
    return this.#memory.subarray(operation.at, operation.at + CHUNK_BYTES)
  }

  #finish(operation) {
    this.#first = operation.next
    if (this.#first === null) this.#last = null
    operation.resolve(operation.length)
  }

  #fail(error) {
    for (let operation = this.#first; operation !== null; operation = operation.next) operation.reject(error)
    this.#first = null
    this.#last = null
  }
}

/** Collects headers, acknowledgements and small bodies in slabs; large bodies go out uncopied, in order. */
class Gatherer {
  #socket
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #start = 0
  #end = 0

  constructor(socket) {
    this.#socket = socket
  }

  header(opcode, offset, length) {
    this.#room(HEADER_BYTES)
    const slab = this.#slab
    const at = this.#end
    slab.writeUInt32LE(length >>> 0, at)
    slab.writeUInt32LE((length / 2 ** 32) >>> 0, at + 4)
    slab.writeUInt32LE(offset >>> 0, at + 8)
    slab.writeUInt32LE((offset / 2 ** 32) >>> 0, at + 12)
    slab[at + 16] = opcode
    this.#end = at + HEADER_BYTES
  }

  byte(value) {
    this.#room(1)
    this.#slab[this.#end++] = value
  }

  body(memory, offset, length) {
    if (length <= SMALL_BYTES) {
      this.#room(length)
      memory.copy(this.#slab, this.#end, offset, offset + length)
      this.#end += length
    } else {
      this.flush()
      this.#socket.write(memory.subarray(offset, offset + length))
    }
  }

  flush() {
    if (this.#end > this.#start) this.#socket.write(this.#slab.subarray(this.#start, this.#end))
    this.#start = this.#end
  }

  /** A slab is never written twice, because the socket may still hold what was flushed from it. */
  #room(bytes) {
    if (this.#end + bytes <= this.#slab.length) return
    this.flush()
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.#start = 0
    this.#end = 0
  }
}
