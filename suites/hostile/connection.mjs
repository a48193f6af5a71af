/** A TCP connection that says exactly the bytes that it is told. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { CANARY } from './layout.mjs'
import { FLAG_AUTH, FRAME_BYTES, hintOf, preface, PREFACE_BYTES, proof, PROOF_BYTES, STATUS_NAMES } from './wire.mjs'

/** A peer has so long to answer or to close; under a sanitizer, which slows it, `--patience` makes it longer. */
export const DEADLINE_MS = 1000 * Number(process.env.MEMLANE_HOSTILE_PATIENCE ?? 1)

export class Connection {
  #socket
  #chunks = []
  #length = 0
  #tail = Buffer.alloc(0)
  #changed = () => {}
  /** How it ended: `end`, or `reset`. */
  closed = undefined
  /** Whether bytes came that nobody may read. */
  leaked = false
  /** Bytes that came in all. */
  heard = 0
  /** Bytes that come are counted and thrown away. */
  sink = false
  slow = false

  constructor(socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => this.#take(bytes))
    socket.on('end', () => this.#close('end'))
    socket.on('error', () => this.#close('reset'))
    socket.on('close', () => this.#close('reset'))
  }

  /** `from` is an address of 127.0.0.0/8; `one` has it take single bytes from the socket, and when
   * it is `slow` no more than one each time that it is resumed. */
  static async open(port, { from = '127.0.0.1', one = false } = {}) {
    // Half open on purpose: the peer's end must not end ours.
    const options = { host: '127.0.0.1', port, localAddress: from, allowHalfOpen: true }
    const made = {}
    if (one) {
      const callback = (count, buffer) => {
        made.connection.#take(Buffer.from(buffer.subarray(0, count)))
        return !made.connection.slow
      }
      options.onread = { buffer: Buffer.alloc(1), callback }
    }
    const socket = connect(options)
    await once(socket, 'connect', { signal: AbortSignal.timeout(DEADLINE_MS) })
    made.connection = new Connection(socket)
    return made.connection
  }

  write(bytes) {
    this.#socket.write(bytes)
  }

  /** Resolves when the kernel has it all, or the peer takes no more. */
  writeAll(bytes) {
    // A socket that is destroyed calls back its pending writes too, with an error.
    return new Promise((resolve) => this.#socket.write(bytes, () => resolve()))
  }

  /** Each piece a packet of its own, as far as a sender can decide that. */
  async writeCut(bytes, cuts) {
    let from = 0
    for (const cut of [...cuts, bytes.length]) {
      await this.writeAll(bytes.subarray(from, cut))
      // Lets the peer run: on one host a piece is in its socket when the write returns.
      for (let turns = 0; turns < 3; turns++) await turn()
      from = cut
    }
  }

  end() {
    this.#socket.end()
  }

  reset() {
    this.#socket.resetAndDestroy()
  }

  destroy() {
    this.#socket.destroy()
  }

  pause() {
    this.#socket.pause()
  }

  resume() {
    this.#socket.resume()
  }

  /** The next `length` bytes; fails when they have not come by the deadline. */
  async take(length, deadlineMs = DEADLINE_MS) {
    await this.#until(() => this.#length >= length || this.closed !== undefined, deadlineMs)
    if (this.#length < length) {
      const why = this.closed === undefined ? `${deadlineMs} ms` : `the connection ended (${this.closed})`
      throw new Error(`${length} bytes expected, ${this.#length} came before ${why}: ${this.#joined().toString('hex', 0, 64)}`)
    }
    const bytes = this.#joined()
    this.#chunks = [bytes.subarray(length)]
    this.#length -= length
    return bytes.subarray(0, length)
  }

  async takeStatus(deadlineMs = DEADLINE_MS) {
    const bytes = await this.take(FRAME_BYTES, deadlineMs)
    return { sequence: bytes.readUInt32LE(0), status: bytes.readUInt32LE(4) }
  }

  /** Takes a status frame that has to be this one; its name. */
  async status(sequence, status, deadlineMs = DEADLINE_MS) {
    const frame = await this.takeStatus(deadlineMs)
    const statuses = [status].flat()
    if (frame.sequence !== sequence || !statuses.includes(frame.status)) {
      throw new Error(`status ${frame.status} of request ${frame.sequence}, not ${statuses.join(' or ')} of request ${sequence}`)
    }
    return STATUS_NAMES[frame.status]
  }

  /** What comes until the peer ends the connection; fails when that is not at the deadline. */
  async rest(deadlineMs = DEADLINE_MS) {
    await this.#until(() => this.closed !== undefined, deadlineMs)
    if (this.closed === undefined) throw new Error(`still open after ${deadlineMs} ms; ${this.heard} bytes came`)
    const rest = this.#joined()
    this.#chunks = []
    this.#length = 0
    this.#socket.destroy()
    return rest
  }

  /** The peer ends the connection and says nothing before; how. */
  async ends(deadlineMs = DEADLINE_MS) {
    const rest = await this.rest(deadlineMs)
    if (rest.length > 0) throw new Error(`${rest.length} bytes before the end: ${rest.toString('hex', 0, 64)}`)
    return 'close'
  }

  #take(bytes) {
    this.heard += bytes.length
    const seam = Buffer.concat([this.#tail, bytes.subarray(0, CANARY.length)])
    this.leaked ||= bytes.includes(CANARY) || seam.includes(CANARY)
    this.#tail = Buffer.concat([this.#tail, bytes]).subarray(-(CANARY.length - 1))
    if (!this.sink) {
      this.#chunks.push(bytes)
      this.#length += bytes.length
    }
    this.#changed()
  }

  #joined() {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]
  }

  #close(how) {
    this.closed ??= how
    this.#changed()
  }

  async #until(satisfied, deadlineMs) {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.#changed()
    }, deadlineMs)
    while (!satisfied() && !late) {
      await new Promise((resolve) => {
        this.#changed = resolve
      })
    }
    clearTimeout(timer)
  }
}

/** A connection whose preface the target has answered; `.answer` is what it said. */
export async function native(port, fields, options) {
  const connection = await Connection.open(port, options)
  connection.write(Buffer.isBuffer(fields) ? fields : preface(fields))
  connection.answer = await connection.take(PREFACE_BYTES)
  return connection
}

/** One that has proved to the target that it knows the token, and has had that proved to it. */
export async function authenticated(port, { name = '', secret }, options) {
  const connection = await Connection.open(port, options)
  const mine = preface({ flags: FLAG_AUTH, hint: hintOf(name) })
  connection.write(mine)
  const theirs = await connection.take(PREFACE_BYTES)
  const proved = proof('i', secret, mine, theirs)
  connection.write(proved)
  const answer = await connection.take(PROOF_BYTES)
  if (!answer.equals(proof('t', secret, mine, theirs))) throw new Error('the target proves nothing')
  return Object.assign(connection, { mine, theirs, proved, answer })
}

export const legacy = (port, options) => Connection.open(port, options)
