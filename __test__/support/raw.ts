import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as secure, type ConnectionOptions } from 'node:tls'
import { setImmediate as turn } from 'node:timers/promises'

export const SEND = 0
export const READ = 1
export const WRITE = 2
export const DESCRIBE = 3
export const PING = 4

export const HEADER_BYTES = 17
export const STATUS_BYTES = 8
export const PREFACE_BYTES = 64
export const MAGIC = Buffer.from('memlane\0')

/** A peer has this long to answer or to close. */
export const DEADLINE_MS = 1_000

/** The 17 bytes before every request, of any value: nothing here checks them. */
export function header(op: number, size: number | bigint, addr: number | bigint): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeBigUInt64LE(BigInt(size), 0)
  bytes.writeBigUInt64LE(BigInt(addr), 8)
  bytes.writeUInt8(op, 16)
  return bytes
}

export function writeRequest(addr: number | bigint, body: Uint8Array): Buffer {
  return Buffer.concat([header(WRITE, body.byteLength, addr), body])
}

export function sendRequest(tag: number | bigint, body: Uint8Array): Buffer {
  return Buffer.concat([header(SEND, body.byteLength, tag), body])
}

export interface PrefaceFields {
  magic?: Buffer
  lowest?: number
  highest?: number
  flags?: number
  tokenHint?: number
  instance?: Uint8Array
}

export function preface({ magic = MAGIC, lowest = 1, highest = 1, flags = 0, tokenHint = 0, instance }: PrefaceFields = {}): Buffer {
  const bytes = Buffer.alloc(PREFACE_BYTES)
  magic.copy(bytes)
  bytes.writeUInt8(lowest, 8)
  bytes.writeUInt8(highest, 9)
  bytes.writeUInt16LE(flags, 10)
  bytes.writeUInt32LE(tokenHint, 12)
  randomBytes(48).copy(bytes, 16)
  if (instance) bytes.set(instance, 16)
  return bytes
}

/** What a status frame says. */
export interface StatusFrame {
  sequence: number
  status: number
}

export function statusFrame(bytes: Buffer): StatusFrame {
  return { sequence: bytes.readUInt32LE(0), status: bytes.readUInt32LE(4) }
}

/** A TCP connection that says exactly the bytes it is told and keeps every byte it hears. */
export class RawConnection {
  readonly #socket: Socket
  #heard: Buffer = Buffer.alloc(0)
  #total: Buffer[] = []
  #closed: 'end' | 'reset' | undefined
  #changed: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => {
      this.#heard = Buffer.concat([this.#heard, bytes])
      this.#total.push(bytes)
      this.#changed()
    })
    socket.on('end', () => this.#close('end'))
    socket.on('error', () => this.#close('reset'))
    socket.on('close', () => this.#close('reset'))
  }

  static async open(port: number): Promise<RawConnection> {
    // Half open on purpose: the peer's end must not end ours.
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    await once(socket, 'connect', { signal: AbortSignal.timeout(DEADLINE_MS) })
    return new RawConnection(socket)
  }

  /** The same over TLS, by the TLS of Node. */
  static async secured(port: number, options: ConnectionOptions): Promise<RawConnection> {
    const socket = secure({ socket: connect({ host: '127.0.0.1', port, allowHalfOpen: true }), ...options })
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(DEADLINE_MS) })
    return new RawConnection(socket)
  }

  /** A connection whose preface the target has answered. */
  static async native(port: number, fields?: PrefaceFields): Promise<RawConnection> {
    const connection = await RawConnection.open(port)
    connection.write(preface(fields))
    await connection.take(PREFACE_BYTES)
    return connection
  }

  /** Every byte heard since the start, taken or not. */
  get everything(): Buffer {
    return Buffer.concat(this.#total)
  }

  get isClosed(): boolean {
    return this.#closed !== undefined
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  /** Writes and resolves when the kernel has it all, or when the peer would take no more. */
  async writeAll(bytes: Uint8Array): Promise<void> {
    // A socket that is destroyed calls back its pending writes too, with an error.
    await new Promise<void>((resolve) => this.#socket.write(bytes, () => resolve()))
  }

  /** Writes `bytes` cut at the given offsets, each piece a packet of its own as far as a sender can decide that. */
  async writeCut(bytes: Uint8Array, cuts: Iterable<number>): Promise<void> {
    let from = 0
    for (const cut of [...cuts, bytes.byteLength]) {
      await this.writeAll(bytes.subarray(from, cut))
      // Lets the peer run: on one host a piece is in its socket when the write returns.
      for (let turns = 0; turns < 3; turns++) await turn()
      from = cut
    }
  }

  /** Half close: nothing more will be said. */
  end(): void {
    this.#socket.end()
  }

  reset(): void {
    this.#socket.resetAndDestroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Stops taking bytes out of the socket. */
  pause(): void {
    this.#socket.pause()
  }

  /** Takes them again. */
  resume(): void {
    this.#socket.resume()
  }

  /** The next `length` bytes; fails when they are not there by the deadline. */
  async take(length: number, deadlineMs = DEADLINE_MS): Promise<Buffer> {
    await this.#until(() => this.#heard.byteLength >= length || this.isClosed, deadlineMs)
    if (this.#heard.byteLength < length) {
      const why = this.isClosed ? `the connection ended (${this.#closed})` : `${deadlineMs} ms passed`
      throw new Error(`${length} bytes expected, ${this.#heard.byteLength} came before ${why}: ${this.#heard.toString('hex')}`)
    }
    const taken = this.#heard.subarray(0, length)
    this.#heard = this.#heard.subarray(length)
    return taken
  }

  async takeStatus(deadlineMs = DEADLINE_MS): Promise<StatusFrame> {
    return statusFrame(await this.take(STATUS_BYTES, deadlineMs))
  }

  /** What comes until the peer ends the connection; fails when it is still open at the deadline. */
  async rest(deadlineMs = DEADLINE_MS): Promise<Buffer> {
    await this.#until(() => this.isClosed, deadlineMs)
    if (!this.isClosed) {
      throw new Error(`still open after ${deadlineMs} ms; heard ${this.#heard.byteLength} bytes: ${this.#heard.subarray(0, 64).toString('hex')}`)
    }
    const rest = this.#heard
    this.#heard = Buffer.alloc(0)
    this.#socket.destroy()
    return rest
  }

  #close(how: 'end' | 'reset'): void {
    this.#closed ??= how
    this.#changed()
  }

  async #until(satisfied: () => boolean, deadlineMs: number): Promise<void> {
    const late = setTimeout(() => this.#changed(), deadlineMs)
    for (const deadline = performance.now() + deadlineMs; !satisfied() && performance.now() < deadline; ) {
      await new Promise<void>((resolve) => (this.#changed = resolve))
    }
    clearTimeout(late)
  }
}
