import { setTimeout as delay } from 'node:timers/promises'
import { ackOf, describeMark, mark, noteOf, ACTORS } from './layout.mjs'
import { explain, grains, pattern, same } from './pattern.mjs'
import { messageBytes } from './plan.mjs'
import { Random } from '../bench/support/random.mjs'
import { TAGS } from './operations/messages.mjs'
import { guardedView, guardsOf, poisoned } from './scratch.mjs'

const LOOPS = 3
const ROOM_BYTES = 48 << 10
const STREAM_BYTES = 32 << 10
/** Messages of one sender: one that comes twice does so while these are the last. */
const REMEMBERED = 4096
const RECEIVE = { timeoutMs: 0, may: ['ERR_CLOSED', 'ERR_ABORTED'] }

/** Receives of a target, posted again and again: in regions, in views and as a stream, and some withdrawn. */
export class Receiver {
  #target
  #ended = Promise.resolve([])
  #over = false
  #posted = 0
  /** Numbers of the last messages that came, by the mark of their sender. */
  #seen = new Map()
  #received = new Map()

  constructor(target) {
    this.#target = target
  }

  /** Numbers of the messages that came since this was asked last, by the mark of their sender. */
  takeReceived() {
    const received = [...this.#received]
    this.#received.clear()
    return received
  }

  start(endpoint) {
    this.#over = false
    const loops = Array.from({ length: LOOPS }, (_, loop) => this.#receive(endpoint, loop))
    this.#ended = Promise.all([...loops, this.#stream(endpoint), this.#notes(endpoint), this.#notes(endpoint)])
  }

  /** The endpoint is about to close, and with it the receives. */
  async stop() {
    this.#over = true
    await this.#ended
  }

  async #receive(endpoint, loop) {
    const region = loop === 0 ? endpoint.alloc('received', ROOM_BYTES) : undefined
    while (!this.#over) {
      const random = new Random(this.#target.seed, this.#target.process, 0x7b, this.#posted++)
      const view = region === undefined ? guardedView(ROOM_BYTES) : undefined
      const withdraw = random.once(12)
      const milliseconds = random.below(20)
      const { value, error } = await this.#target.follow(
        'recv',
        async () => {
          const future = endpoint.recv(region ?? view.bytes, { tag: TAGS.message })
          if (withdraw) void delay(milliseconds).then(() => future.cancel())
          return future
        },
        RECEIVE
      )
      if (error?.code === 'ERR_CLOSED') return
      if (value !== undefined) this.#take(value, 'message')
      if (view !== undefined) this.#look(view, value?.bytes ?? 0)
    }
  }

  #look(view, bytes) {
    const wrong = guardsOf(view) ?? poisoned(view.bytes.subarray(bytes))
    if (wrong !== undefined) this.#target.fail(`a receive touched more than its ${bytes} bytes: ${wrong}`)
  }

  async #stream(endpoint) {
    while (!this.#over) {
      const random = new Random(this.#target.seed, this.#target.process, 0x7c, this.#posted++)
      let left = random.between(1, 40)
      const end = await this.#target.follow(
        'messages',
        async () => {
          for await (const message of endpoint.messages({ tag: TAGS.stream, maxBytes: STREAM_BYTES, buffered: random.between(1, 12) })) {
            this.#take(message, 'stream')
            // Leaving the loop withdraws what is posted, and more comes to the next one.
            if (--left === 0) break
          }
        },
        RECEIVE
      )
      if (end.error !== undefined || left > 0) return
    }
  }

  #take({ data, bytes, messageBytes: whole, truncated, tag }, kind) {
    const [first] = grains(data.subarray(0, 16), 0)
    if (first === undefined) return this.#target.fail(`a message of ${whole} bytes that nobody has sent`)
    const { mark: sender, operation } = first
    const what = `message ${operation} of ${describeMark(sender)}`
    const expected = pattern(sender, operation, 0, messageBytes(sender, operation))
    if (sender !== mark(sender >>> 24, (sender >>> 16) & 255, this.#target.process, kind)) this.#target.fail(`${what} came to process ${this.#target.process}`)
    if (tag !== TAGS[kind]) this.#target.fail(`${what} has the tag ${tag}`)
    if (whole !== expected.byteLength) this.#target.fail(`${what} has ${whole} bytes, ${expected.byteLength} were sent`)
    if (truncated !== bytes < whole || data.byteLength !== bytes) this.#target.fail(`${what} says ${bytes} of ${whole} bytes, truncated: ${truncated}`)
    if (!same(data, expected.subarray(0, bytes))) this.#target.fail(`${what}: ${explain(data, expected.subarray(0, bytes), 0)}`)
    if (!this.#seen.has(sender)) this.#seen.set(sender, new Set())
    const seen = this.#seen.get(sender)
    if (seen.has(operation)) this.#target.fail(`${what} came twice`)
    seen.add(operation)
    if (seen.size > REMEMBERED) seen.delete(seen.values().next().value)
    if (!this.#received.has(sender)) this.#received.set(sender, [])
    this.#received.get(sender).push(operation)
    this.#target.ledger.count(`${kind} received`, truncated ? 'truncated' : 'ok')
  }

  async #notes(endpoint) {
    while (!this.#over) {
      const { value, error } = await this.#target.follow('recv', () => endpoint.recv(new Uint8Array(64), { tag: TAGS.note }), RECEIVE)
      if (error !== undefined) return
      this.#note(value)
    }
  }

  /** Bytes that a peer says it has written: all of them have to be there, and of one operation of it. */
  #note({ data, bytes }) {
    if (bytes !== 16) return this.#target.fail(`a notification has ${bytes} bytes`)
    const view = new DataView(data.buffer, data.byteOffset)
    const [address, length] = [Number(view.getBigUint64(0, true)), Number(view.getBigUint64(8, true))]
    const region = this.#target.region('cells')
    const from = address - (region?.address ?? 0)
    // Of a region that has been made anew since: nobody waits for an answer.
    if (region === undefined || region.closed || from < 0 || from + length > region.length) return
    const owner = this.#ownerOf(from)
    if (owner === undefined) return this.#target.fail(`a notification of ${length} bytes at ${from} of cells, where nobody has a note`)
    const seen = region.copyOut(from, length)
    const acks = this.#target.region('acks')
    const word = new DataView(acks.buffer)
    const place = ackOf(owner.process, owner.actor)
    // No note is so short that it has not one whole grain, which says the number of its operation.
    const [grain] = grains(seen, from)
    const expected = pattern(owner.mark, grain?.operation ?? 0, from, length)
    if (same(seen, expected)) word.setUint32(place, grain.operation, true)
    else this.#target.fail(`what ${describeMark(owner.mark)} has written and told of: ${explain(seen, expected, from)}`)
  }

  #ownerOf(from) {
    for (let process = 0; process < this.#target.processes; process++) {
      for (let actor = 0; actor < ACTORS; actor++) {
        const { base, bytes } = noteOf(process, actor)
        if (from >= base && from < base + bytes) return { process, actor, mark: mark(process, actor, this.#target.process, 'note') }
      }
    }
    return undefined
  }
}
