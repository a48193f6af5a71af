import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { DESCRIBE, HEADER_BYTES, preface, PREFACE_BYTES, SEND, WRITE } from './raw'

/** One request as the listener heard it, and the means to answer it with any bytes. */
export interface Heard {
  op: number
  size: number
  addr: number
  /** Its index on its lane, as a status frame has to name it. */
  sequence: number
  /** Which lane: lanes are numbered as they were accepted. */
  lane: number
  socket: Socket
}

export interface Script {
  /** What goes out in place of a preface; the connection ends behind it when `hangUp` is set. */
  preface?: Buffer
  hangUp?: boolean
  /** What goes out in place of an answer to DESCRIBE, given the honest one. */
  describe?: (honest: Buffer, socket: Socket) => void
  /** Called at the header of every other request, before its body. */
  header?: (request: Heard) => void
  /** Called when a request is whole. */
  request?: (request: Heard) => void
}

export function frame(sequence: number, status: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(sequence, 0)
  bytes.writeUInt32LE(status, 4)
  return bytes
}

/** An answer to DESCRIBE with any text and, when given, any length. */
export function description(text: string, length = Buffer.byteLength(text)): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(length, 0)
  return Buffer.concat([bytes, Buffer.from(text)])
}

export const REGION = { addr: 0x10000000, length: 4096 }

const INSTANCE = Buffer.alloc(16, 7)

/** A target that says what its script tells it to: honest only about its preface and one region "kv". */
export class RawListener {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #lanes = 0

  private constructor(readonly script: Script) {
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket))
  }

  static async start(script: Script): Promise<RawListener> {
    const listener = new RawListener(script)
    listener.#server.listen(0, '127.0.0.1')
    await once(listener.#server, 'listening')
    return listener
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`
  }

  /** How many connections were accepted so far. */
  get lanes(): number {
    return this.#lanes
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #serve(socket: Socket): void {
    const lane = this.#lanes++
    let heard = Buffer.alloc(0)
    let greeted = false
    let body: { request: Heard; left: number } | undefined
    let sequence = 0
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', (bytes) => {
      heard = Buffer.concat([heard, bytes])
      if (!greeted) {
        if (heard.byteLength < PREFACE_BYTES) return
        heard = heard.subarray(PREFACE_BYTES)
        greeted = true
        socket.write(this.script.preface ?? preface({ instance: INSTANCE }))
        if (this.script.hangUp) return void socket.end()
      }
      for (;;) {
        if (body) {
          const taken = Math.min(body.left, heard.byteLength)
          body.left -= taken
          heard = heard.subarray(taken)
          if (body.left > 0) return
          this.script.request?.(body.request)
          body = undefined
        }
        if (heard.byteLength < HEADER_BYTES) return
        const request: Heard = {
          size: Number(heard.readBigUInt64LE(0)),
          addr: Number(heard.readBigUInt64LE(8)),
          op: heard.readUInt8(16),
          sequence: sequence++,
          lane,
          socket,
        }
        heard = heard.subarray(HEADER_BYTES)
        if (request.op === DESCRIBE) {
          this.#describe(request)
          continue
        }
        this.script.header?.(request)
        body = { request, left: request.op === SEND || request.op === WRITE ? request.size : 0 }
      }
    })
  }

  #describe({ sequence, socket }: Heard): void {
    const info = {
      host: '127.0.0.1',
      port: this.port,
      mr_info: { kv: { ...REGION, access: 'readwrite' } },
      memlane: { version: 1, instance: INSTANCE.toString('hex') },
    }
    const honest = Buffer.concat([frame(sequence, 0), description(JSON.stringify(info))])
    if (this.script.describe) this.script.describe(honest, socket)
    else socket.write(honest)
  }
}
