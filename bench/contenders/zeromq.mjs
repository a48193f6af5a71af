/**
 * zeromq.js: a `Dealer` asks a `Router`. The requests of a tick leave as one message, a frame of headers and a frame for
 * every written body, and are answered by one: small bodies and acknowledgements in the first frame, large ones after it
 * straight from the served memory. What arrives is in memory of zeromq's and is copied to where it belongs.
 */
import { startPair } from '../support/pair.mjs'
import { npmPackages, requireContender } from '../support/provision.mjs'

export const name = 'zeromq.js'

export const setup = npmPackages

export const version = () => {
  const { version: libzmq } = requireContender('zeromq')
  return `${requireContender('zeromq/package.json').version} (libzmq ${libzmq})`
}

export const start = (options) => startPair(import.meta.url, options)

const HEADER_BYTES = 17
const READ = 1
const WRITE = 2
const SMALL_BYTES = 4096

/** Runs in the target. */
export async function serve({ bytes }) {
  const { Router } = requireContender('zeromq')
  const memory = Buffer.alloc(bytes)
  const socket = new Router({ linger: 0 })
  await socket.bind('tcp://127.0.0.1:*')
  const served = serveAll(socket, memory)
  return {
    address: socket.lastEndpoint,
    memory,
    connections: () => 1,
    async close() {
      socket.close()
      await served
    },
  }
}

async function serveAll(socket, memory) {
  for await (const [identity, headers, ...bodies] of socket) await socket.send([identity, ...answer(memory, headers, bodies)])
}

function answer(memory, headers, bodies) {
  const small = []
  const large = []
  let body = 0
  for (let at = 0; at < headers.length; at += HEADER_BYTES) {
    const { opcode, offset, length } = header(headers, at)
    if (opcode === WRITE) {
      bodies[body++].copy(memory, offset)
      small.push(APPLIED)
    } else {
      const list = length <= SMALL_BYTES ? small : large
      list.push(memory.subarray(offset, offset + length))
    }
  }
  return [Buffer.concat(small), ...large]
}

const APPLIED = Buffer.from([0])

function header(buffer, at) {
  return {
    opcode: buffer[at + 16],
    length: Number(buffer.readBigUInt64LE(at)),
    offset: Number(buffer.readBigUInt64LE(at + 8)),
  }
}

/** Runs in the initiator. */
export async function dial({ address, bytes }) {
  const { Dealer } = requireContender('zeromq')
  const memory = Buffer.alloc(bytes)
  const socket = new Dealer({ linger: 0 })
  socket.connect(address)
  const requests = new Requests(socket, memory)
  return {
    memory,
    read: (offset, length) => requests.issue(READ, offset, length),
    write: (offset, length) => requests.issue(WRITE, offset, length),
    async close() {
      socket.close()
      await requests.ended
    },
  }
}

class Requests {
  ended
  #socket
  #memory
  #gathered = []
  #sending = false
  #sent = []

  constructor(socket, memory) {
    this.#socket = socket
    this.#memory = memory
    this.ended = this.#receiveAll()
  }

  issue(opcode, offset, length) {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ opcode, offset, length, resolve, reject })
      if (this.#sending) return
      this.#sending = true
      process.nextTick(() => this.#leave())
    })
  }

  /** zeromq takes one message at a time; what is issued while one leaves goes with the next. */
  async #leave() {
    while (this.#gathered.length > 0) {
      const requests = this.#gathered
      this.#gathered = []
      this.#sent.push(requests)
      try {
        await this.#socket.send(this.#message(requests))
      } catch (error) {
        for (const { reject } of requests) reject(error)
      }
    }
    this.#sending = false
  }

  #message(requests) {
    const headers = Buffer.allocUnsafe(requests.length * HEADER_BYTES)
    const frames = [headers]
    let at = 0
    for (const { opcode, offset, length } of requests) {
      headers.writeBigUInt64LE(BigInt(length), at)
      headers.writeBigUInt64LE(BigInt(offset), at + 8)
      headers[at + 16] = opcode
      at += HEADER_BYTES
      if (opcode === WRITE) frames.push(this.#memory.subarray(offset, offset + length))
    }
    return frames
  }

  async #receiveAll() {
    for await (const [small, ...large] of this.#socket) {
      let at = 0
      let frame = 0
      for (const { opcode, offset, length, resolve } of this.#sent.shift()) {
        if (opcode === WRITE) at += APPLIED.length
        else if (length > SMALL_BYTES) large[frame++].copy(this.#memory, offset)
        else {
          small.copy(this.#memory, offset, at, at + length)
          at += length
        }
        resolve(length)
      }
    }
  }
}
