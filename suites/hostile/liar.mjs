/** A target that says what its script has it say: honest about nothing but one region, "kv". */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { DESCRIBE, HEADER_BYTES, OK, parseHeader, pattern, preface, PREFACE_BYTES, READ, SEND, statusFrame, WRITE } from './wire.mjs'

export const KV = { addr: 0x10000000, length: 64 << 20 }
const READABLE_BYTES = 1 << 20
const INSTANCE = Buffer.alloc(16, 7)
export const CONTENT = pattern('kv', READABLE_BYTES)

export const honest = ({ op, addr, size, sequence, socket }) => {
  socket.write(statusFrame(sequence, OK))
  if (op === READ) socket.write(CONTENT.subarray(addr - KV.addr, addr - KV.addr + size))
}

/** Length and text of an endpoint info, as DESCRIBE is answered behind its status. */
export function description(text, length = Buffer.byteLength(text)) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(length >>> 0, 0)
  return Buffer.concat([bytes, Buffer.from(text)])
}

/**
 * `preface(theirs)` makes what is said first, `greeted(bytes, socket)` takes what comes in place of requests, `describe(honest, socket)`
 * answers in place of the honest endpoint info, `header(request)` is called before a body comes, `request(request)` when it is there.
 */
export class Liar {
  #sockets = new Set()
  lanes = 0

  static async start(script) {
    const liar = new Liar()
    liar.script = script
    liar.server = createServer({ noDelay: true }, (socket) => liar.#serve(socket))
    liar.server.listen(0, '127.0.0.1')
    await once(liar.server, 'listening')
    liar.port = liar.server.address().port
    return liar
  }

  async stop() {
    for (const socket of this.#sockets) socket.destroy()
    this.server.close()
    await once(this.server, 'close')
  }

  #serve(socket) {
    const { script } = this
    const lane = this.lanes++
    let heard = Buffer.alloc(0)
    let greeted = false
    let body
    let sequence = 0
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', (bytes) => {
      heard = Buffer.concat([heard, bytes])
      if (!greeted) {
        if (heard.length < PREFACE_BYTES) return
        greeted = true
        const theirs = heard.subarray(0, PREFACE_BYTES)
        heard = heard.subarray(PREFACE_BYTES)
        socket.write(script.preface?.(theirs) ?? preface({ instance: INSTANCE }))
        if (script.hangUp) return void socket.end()
      }
      if (script.greeted !== undefined) {
        if (heard.length > 0) script.greeted(heard, socket)
        heard = Buffer.alloc(0)
        return
      }
      for (;;) {
        if (body !== undefined) {
          const taken = Math.min(body.left, heard.length)
          body.left -= taken
          heard = heard.subarray(taken)
          if (body.left > 0) return
          ;(script.request ?? honest)(body.request)
          body = undefined
        }
        if (heard.length < HEADER_BYTES) return
        const request = { ...parseHeader(heard), sequence: sequence++, lane, socket }
        heard = heard.subarray(HEADER_BYTES)
        if (request.op === DESCRIBE) {
          this.#describe(request)
          continue
        }
        script.header?.(request)
        body = { request, left: request.op === SEND || request.op === WRITE ? request.size : 0 }
      }
    })
  }

  #describe({ sequence, socket }) {
    const info = { host: '127.0.0.1', port: this.port, mr_info: { kv: { ...KV, access: 'readwrite' } }, memlane: { version: 1, instance: INSTANCE.toString('hex') } }
    const answer = Buffer.concat([statusFrame(sequence, OK), description(JSON.stringify(info))])
    if (this.script.describe === undefined) socket.write(answer)
    else this.script.describe(answer, socket)
  }
}
