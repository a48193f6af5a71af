import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'

/** Stands between a dialler and a target, and lets through as many of the target's bytes as it is told. */
export class Gate {
  /** Bytes of the target that went through. */
  passed = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #held: { socket: Socket; bytes: Buffer }[] = []
  #left: number
  #target: number
  #full: () => void = () => undefined

  private constructor(target: number, limit: number) {
    this.#target = target
    this.#left = limit
    this.#server = createServer((near) => this.#join(near))
  }

  static async open(t: ExecutionContext, target: number, limit = Infinity): Promise<Gate> {
    const gate = new Gate(target, limit)
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    t.teardown(() => gate.close())
    return gate
  }

  get url(): string {
    return `tcp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Once as many bytes have gone through as may. */
  get reached(): Promise<void> {
    return this.#left === 0 ? Promise.resolve() : new Promise((resolve) => (this.#full = resolve))
  }

  /** Lets so many bytes more through, those that wait here first. */
  allow(bytes = Infinity): void {
    this.#left += bytes
    for (const { socket, bytes: held } of this.#held.splice(0)) this.#pass(socket, held)
  }

  /** Ends all connections; those that come go to another target. */
  cut(target = this.#target): void {
    this.#target = target
    this.#held.length = 0
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    this.cut()
    this.#server.close()
  }

  #join(near: Socket): void {
    const far = connect(this.#target, '127.0.0.1')
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    near.on('data', (bytes: Buffer) => far.write(bytes))
    far.on('data', (bytes: Buffer) => this.#pass(near, bytes))
  }

  #pass(socket: Socket, bytes: Buffer): void {
    const count = Math.min(bytes.length, this.#left)
    this.#left -= count
    this.passed += count
    if (count > 0) socket.write(bytes.subarray(0, count))
    if (count < bytes.length) this.#held.push({ socket, bytes: bytes.subarray(count) })
    if (this.#left === 0) this.#full()
  }
}
