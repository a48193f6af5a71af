import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import type { PeerInfo } from 'memlane'

/** A server that accepts, listens to everything, and says only what it is told to. */
export class Silent {
  readonly #server: Server
  readonly #sockets: Socket[] = []
  #heard = 0
  #changed: () => void = () => undefined

  private constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.push(socket)
      socket.on('error', () => undefined)
      socket.on('data', (bytes) => {
        this.#heard += bytes.byteLength
        this.#changed()
      })
    })
  }

  static async start(t: ExecutionContext): Promise<Silent> {
    const silent = new Silent()
    silent.#server.listen(0, '127.0.0.1')
    await once(silent.#server, 'listening')
    t.teardown(() => {
      for (const socket of silent.#sockets) socket.destroy()
      silent.#server.close()
    })
    return silent
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#sockets.length
  }

  /** What a foreign peer would hand out: its wire has no handshake, so that it may stay silent from the start. */
  info(regions: Record<string, { addr: number; length: number }>): PeerInfo {
    return { host: '127.0.0.1', port: this.port, mr_info: regions }
  }

  /** Waits until `bytes` have come in, over all connections. */
  async heard(bytes: number): Promise<void> {
    while (this.#heard < bytes) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve
      })
    }
  }

  say(bytes: Uint8Array, connection = 0): void {
    this.#sockets[connection]?.write(bytes)
  }
}
