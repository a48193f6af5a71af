import { once } from 'node:events'
import { createServer, connect } from 'node:net'

/**
 * What may befall the bytes of one direction once `at` of them have passed. A fault is lifted, or over by itself:
 *
 *   delay       what follows waits for `milliseconds`
 *   half close  the receiver is told that this is the end, what follows goes nowhere
 *   reset       both ends of the connection are reset
 *   black hole  nothing passes in either direction, not even an end; it flows on when the fault is lifted
 *   one way     nothing passes in this direction, and flows on when the fault is lifted
 *   throttle    a byte each millisecond
 *   duplicate   the next `bytes` bytes come twice
 */
export const KINDS = ['delay', 'half close', 'reset', 'black hole', 'one way', 'throttle', 'duplicate']

/** Bytes that wait here before their sender is held back. */
const HELD_BYTES = 4 << 20
/** Once a byte comes from each of so many milliseconds, they pass together: timers are no finer than that. */
const TICK_MS = 4
/** What came before a reset has so long to be read: a reset takes along what the receiver has not looked at. */
const RESET_MS = 5

/** One direction of a connection. */
class Flow {
  #from
  #to
  #road
  #fault
  #queue = []
  #queued = 0
  #held = false
  #dropping = false
  #duplicating = 0
  #ended = false
  #timer
  passed = 0

  constructor(from, to, road) {
    this.#from = from
    this.#to = to
    this.#road = road
    from.on('data', (chunk) => {
      if (this.#dropping) return
      this.#queue.push(chunk)
      this.#queued += chunk.length
      if (this.#queued > HELD_BYTES) from.pause()
      this.pump()
    })
    from.on('end', () => {
      this.#ended = true
      this.pump()
    })
    to.on('drain', () => this.pump())
  }

  /** @param fault `{ kind, at }`, and what its kind takes; `at` is now where it is not given */
  arm(fault) {
    this.#fault = fault === undefined ? undefined : { at: this.passed, ...fault }
    this.pump()
  }

  hold() {
    this.#held = true
  }

  lift() {
    this.#fault = undefined
    this.#held = false
    this.#duplicating = 0
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.pump()
  }

  /** Passes on what may pass. */
  pump() {
    while (!this.#road.over) {
      if (this.#fault !== undefined && this.passed >= this.#fault.at) this.#strike()
      if (this.#held || this.#timer !== undefined || this.#dropping || this.#to.writableNeedDrain) break
      if (this.#queued === 0) {
        if (this.#ended && !this.#to.writableEnded) this.#to.end()
        break
      }
      this.#pass(this.#fault === undefined ? this.#queued : this.#fault.at - this.passed)
    }
    if (this.#queued <= HELD_BYTES / 2 && this.#from.isPaused()) this.#from.resume()
  }

  #pass(most) {
    let chunk = this.#queue.shift()
    if (this.#duplicating > 0) most = Math.min(most, this.#duplicating)
    if (chunk.length > most) {
      this.#queue.unshift(chunk.subarray(most))
      chunk = chunk.subarray(0, most)
    }
    this.passed += chunk.length
    this.#queued -= chunk.length
    this.#to.write(chunk)
    if (this.#duplicating === 0) return
    this.#duplicating -= chunk.length
    this.#to.write(chunk)
  }

  #strike() {
    const { kind, milliseconds, bytes } = this.#fault
    this.#fault = undefined
    if (kind === 'reset') this.#pause(RESET_MS, () => this.#road.reset())
    else if (kind === 'black hole') this.#road.hold()
    else if (kind === 'one way') this.hold()
    else if (kind === 'duplicate') this.#duplicating = bytes
    else if (kind === 'throttle') this.#drip()
    else if (kind === 'delay') this.#pause(milliseconds)
    else {
      this.#dropping = true
      this.#queue = []
      this.#queued = 0
      this.#to.end()
    }
  }

  #pause(milliseconds, then = () => this.pump()) {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      then()
    }, milliseconds)
  }

  #drip() {
    this.#timer = setTimeout(() => {
      if (this.#road.over) return
      if (this.#queued > 0 && !this.#to.writableNeedDrain) this.#pass(TICK_MS)
      this.#timer = undefined
      if (this.#ended && this.#queued === 0) this.pump()
      else this.#drip()
    }, TICK_MS)
  }

  stop() {
    clearTimeout(this.#timer)
    this.#dropping = true
    this.#queue = []
    this.#queued = 0
  }
}

/** One connection through the proxy: `up` is to the target, `down` is from it. */
class Road {
  #client
  #upstream
  #black = false
  over = false

  constructor(client, port, gone) {
    this.#client = client
    this.#upstream = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    this.up = new Flow(client, this.#upstream, this)
    this.down = new Flow(this.#upstream, client, this)
    for (const socket of [client, this.#upstream]) {
      // Who is reset at one end is reset at the other; through a black hole nobody hears of it.
      socket.on('error', () => this.#black || this.reset())
      socket.on('close', () => {
        if (this.#black && !(client.destroyed && this.#upstream.destroyed)) return
        if (client.destroyed && this.#upstream.destroyed) this.#end(gone)
        else if (socket.errored) this.reset()
      })
    }
  }

  #end(gone) {
    this.over = true
    this.up.stop()
    this.down.stop()
    gone()
  }

  hold() {
    this.#black = true
    this.up.hold()
    this.down.hold()
  }

  lift() {
    this.#black = false
    if (this.#client.errored || this.#upstream.errored || this.#client.destroyed || this.#upstream.destroyed) return this.reset()
    this.up.lift()
    this.down.lift()
  }

  reset() {
    this.#black = false
    this.up.stop()
    this.down.stop()
    for (const socket of [this.#client, this.#upstream]) {
      if (socket.destroyed) continue
      // A socket that has said its end cannot be reset any more.
      if (!socket.writableEnded) socket.resetAndDestroy()
      // A reset alone waits until everything is written, which a receiver that does not read can put off for ever.
      socket.destroy()
    }
  }
}

/** What lies between an initiator and a target on this machine. It knows bytes and positions, nothing of what they mean. */
export class Proxy {
  #server
  #dialled = 0
  /** Connections now open. */
  roads = new Set()
  /** What was passed by connections that are over, in the order in which they began: `{ up, down }`. */
  passed = []
  /** Faults for the connection of that number, from 0: `{ up, down }`. */
  plan = () => ({})

  /** @param upstream the port of the target */
  static async listen(upstream, port = 0) {
    const proxy = new Proxy()
    proxy.upstream = upstream
    proxy.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => proxy.#accept(client))
    proxy.#server.listen({ port, host: '127.0.0.1', backlog: 4096 })
    await once(proxy.#server, 'listening')
    proxy.port = proxy.#server.address().port
    return proxy
  }

  #accept(client) {
    const number = this.#dialled++
    const road = new Road(client, this.upstream, () => {
      this.passed[number] = { up: road.up.passed, down: road.down.passed }
      this.roads.delete(road)
    })
    this.roads.add(road)
    const { up, down } = this.plan(number)
    if (up !== undefined) road.up.arm(up)
    if (down !== undefined) road.down.arm(down)
  }

  /** Ends all faults, and lets what was held flow on. Connections to come have none. */
  lift() {
    this.plan = () => ({})
    for (const road of this.roads) road.lift()
  }

  reset() {
    for (const road of this.roads) road.reset()
  }

  async close() {
    this.#server.close()
    this.reset()
    await new Promise((resolve) => this.#server.once('close', resolve))
  }
}
