import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { resolve } from 'node:path'

/** One frame of a vector: what the file says it is, and its bytes. The format is described in testdata/README.md. */
export interface Frame {
  readonly sender: 'initiator' | 'target'
  readonly kind: string
  readonly fields: Record<string, string>
  readonly bytes: Buffer
}

export interface Vector {
  readonly name: string
  readonly start: 'legacy' | 'preface' | 'lane'
  readonly frames: readonly Frame[]
}

/** Wire value = index. Written out here once more, so that the two languages check each other. */
export const OPCODES = ['send', 'read', 'write', 'describe', 'ping'] as const
export const STATUSES = [
  'ok',
  'no_such_region',
  'out_of_range',
  'access_denied',
  'message_size',
  'no_receive',
  'limit',
  'closing',
  'bad_request',
] as const

/** The regions of the target that every vector speaks to. */
export const SAMPLE = {
  weights: { addr: 0x0fed_cba9_8000, length: 16, access: 'read' },
  inbox: { addr: 0x1234_5678_9000, length: 32, access: 'readwrite' },
} as const

export function vectors(): Vector[] {
  // ava runs every test file with the package root as its working directory.
  const folder = resolve('crates/wire/testdata')
  const files = readdirSync(folder).filter((file) => file.endsWith('.hex'))
  return files.sort().map((file) => parse(file.slice(0, -'.hex'.length), readFileSync(resolve(folder, file), 'utf8')))
}

export function parse(name: string, text: string): Vector {
  let start = ''
  const frames: { sender: Frame['sender']; kind: string; fields: Record<string, string>; hex: string }[] = []
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('#')) continue
    const [, key, rest = ''] = /^(start|initiator|target): (.+)$/.exec(line) ?? []
    const frame = frames.at(-1)
    if (key === 'start') start = rest
    else if (key === 'initiator' || key === 'target') {
      const [kind = '', ...fields] = rest.split(' ')
      frames.push({ sender: key, kind, fields: pairs(fields), hex: '' })
    } else if (frame && line.includes('=')) Object.assign(frame.fields, pairs(line.trim().split(' ')))
    else if (frame && /^[0-9a-f ]+$/.test(line)) frame.hex += line.replaceAll(' ', '')
    else throw new Error(`${name}.hex: ${line}`)
  }
  if (start !== 'legacy' && start !== 'preface' && start !== 'lane') throw new Error(`${name}.hex starts nowhere: ${start}`)
  return { name, start, frames: frames.map(({ hex, ...frame }) => ({ ...frame, bytes: Buffer.from(hex, 'hex') })) }
}

function pairs(texts: string[]): Record<string, string> {
  return Object.fromEntries(texts.map((text) => text.split('=', 2) as [string, string]))
}

/** The fields that these bytes say, in the words of the vectors, by the layouts of docs/protocol.md. */
export function decode(kind: string, bytes: Buffer): Record<string, string> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const hex = (from: number, to: number) => bytes.subarray(from, to).toString('hex')
  switch (kind) {
    case 'header': {
      sized(bytes, 17)
      const opcode = view.getUint8(16)
      return {
        opcode: OPCODES[opcode] ?? `${opcode}`,
        size: `${view.getBigUint64(0, true)}`,
        addr: `${view.getBigUint64(8, true)}`,
      }
    }
    case 'status': {
      sized(bytes, 8)
      const status = view.getUint32(4, true)
      return { sequence: `${view.getUint32(0, true)}`, status: STATUSES[status] ?? `${status}` }
    }
    case 'preface':
      sized(bytes, 64)
      if (bytes.toString('latin1', 0, 8) !== 'memlane\0') throw new Error('not the magic')
      return {
        lowest: `${view.getUint8(8)}`,
        highest: `${view.getUint8(9)}`,
        flags: `${view.getUint16(10, true)}`,
        token_hint: `${view.getUint32(12, true)}`,
        instance: hex(16, 32),
        nonce: hex(32, 64),
      }
    case 'auth':
      sized(bytes, 32)
      return { proof: hex(0, 32) }
    case 'length':
      sized(bytes, 4)
      return { length: `${view.getUint32(0, true)}` }
    case 'payload':
    case 'json':
      return { bytes: `${bytes.length}` }
    case 'close':
      sized(bytes, 0)
      return {}
    default:
      throw new Error(`no frame is named ${kind}`)
  }
}

/** The bytes of a frame with these fields; for the kinds whose fields say all of them. */
export function encode(kind: string, fields: Record<string, string>): Buffer {
  const number = (name: string) => BigInt(fields[name] ?? `no field ${name}`)
  const named = (names: readonly string[], name: string) =>
    names.includes(name) ? names.indexOf(name) : Number(BigInt(name))
  const hex = (name: string) => Buffer.from(fields[name] ?? '', 'hex')
  const integers = (...parts: [bytes: 1 | 2 | 4 | 8, value: bigint | number][]) => {
    const view = new DataView(new ArrayBuffer(parts.reduce((sum, [bytes]) => sum + bytes, 0)))
    let at = 0
    for (const [bytes, value] of parts) {
      if (bytes === 8) view.setBigUint64(at, BigInt(value), true)
      else if (bytes === 4) view.setUint32(at, Number(value), true)
      else if (bytes === 2) view.setUint16(at, Number(value), true)
      else view.setUint8(at, Number(value))
      at += bytes
    }
    return Buffer.from(view.buffer)
  }
  switch (kind) {
    case 'header':
      return integers([8, number('size')], [8, number('addr')], [1, named(OPCODES, fields.opcode ?? '')])
    case 'status':
      return integers([4, number('sequence')], [4, named(STATUSES, fields.status ?? '')])
    case 'preface': {
      const fixed = integers([1, number('lowest')], [1, number('highest')], [2, number('flags')], [4, number('token_hint')])
      return Buffer.concat([Buffer.from('memlane\0', 'latin1'), fixed, hex('instance'), hex('nonce')])
    }
    case 'auth':
      return hex('proof')
    case 'length':
      return integers([4, number('length')])
    default:
      throw new Error(`the fields of ${kind} do not say its bytes`)
  }
}

function sized(bytes: Buffer, length: number): void {
  if (bytes.length !== length) throw new Error(`${bytes.length} bytes, not ${length}`)
}

/** The request with its sample address moved to where a live target put the region. */
export function relocated(frame: Frame, live: Record<keyof typeof SAMPLE, number | bigint>): Buffer {
  if (frame.kind !== 'header' || (frame.fields.opcode !== 'read' && frame.fields.opcode !== 'write')) return frame.bytes
  const bytes = Buffer.from(frame.bytes)
  const addr = bytes.readBigUInt64LE(8)
  for (const name of ['weights', 'inbox'] as const) {
    const offset = addr - BigInt(SAMPLE[name].addr)
    // One past the very end as well: the vectors ask for that address too.
    if (offset >= 0n && offset <= BigInt(SAMPLE[name].length) + 1n) bytes.writeBigUInt64LE(BigInt(live[name]) + offset, 8)
  }
  return bytes
}

/** A plain TCP socket that is read by the byte; what memlane sends is looked at without memlane. */
export class RawSocket {
  readonly #socket: Socket
  #received = Buffer.alloc(0)
  #ended = false
  #error: Error | undefined
  #wake = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end())
    socket.on('error', (error) => {
      this.#error = error
      this.#end()
    })
  }

  static async open(port: number): Promise<RawSocket> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    await once(socket, 'connect')
    return new RawSocket(socket)
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  /** Closes this side; what the other side sends can still be read. */
  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Exactly so many bytes; `null` when the connection ended in front of the first of them. */
  async read(length: number): Promise<Buffer | null> {
    while (this.#received.length < length && !this.#ended) await this.#change()
    if (this.#received.length < length) {
      if (this.#error) throw this.#error
      if (this.#received.length === 0) return null
      throw new Error(`the connection ended after ${this.#received.length} of ${length} bytes`)
    }
    const bytes = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return bytes
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) await this.#change()
    if (this.#error) throw this.#error
    return this.#received
  }

  #change(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve))
  }

  #end(): void {
    this.#ended = true
    this.#wake()
  }
}
