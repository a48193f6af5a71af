/**
 * Sessions of hostile requests out of a seed: valid ones, and mutations of them at every border there is. Writes that are granted say
 * what is there already, so that memory is the same whatever is done in which order, and any other byte in it is one too many.
 */
import { isFatal, Regions } from './model.mjs'
import { DESCRIBE, FRAME_BYTES, HEADER_BYTES, OK, PING, READ, SEND, WRITE } from './wire.mjs'

const TWO_32 = 2 ** 32
const MOST_BODY = 2048
const STREAM_BYTES = 192 << 10
const POISON = Buffer.alloc(2 << 20, 0xee)
/** Sizes beside those that a region's length suggests. */
const SIZES = [1, 2, 16, 64, 4095, 4096, 4097, 65_536, 2 ** 20, 2 ** 20 + 1, 2 ** 30]
const OVER = [2 ** 30 + 1, 2 ** 31, TWO_32 - 1, TWO_32, 2 ** 40, 2 ** 53 - 1, 2 ** 63, 2 ** 64 - 2 ** 11]
const NOWHERE = [0, 1, 4096, 2 ** 31, TWO_32, 2 ** 53, 2 ** 63, 2 ** 64 - 2 ** 11]

export class Generator {
  #bytes = Buffer.alloc(STREAM_BYTES + POISON.length)
  #random
  constructor(random, target) {
    this.#random = random
    this.limits = target.limits
    this.regions = []
    this.stale = []
    this.use(target.regions)
  }

  /** The regions that are open from now on. */
  use(regions) {
    this.regions = regions
    this.map = new Regions(regions)
    this.readable = regions.filter(({ access }) => access.startsWith('read'))
    this.writable = regions.filter(({ access }) => access === 'readwrite')
  }

  /**
   * A stream of requests and what has to come back for it, in order: `expected` chunks, the statuses `refused`, and `ends` where the
   * last request ends the lane. On the legacy wire any refusal does.
   */
  session({ legacy = false, most = 400 } = {}) {
    const random = this.#random
    const expected = []
    const refused = []
    let requests = 0
    let at = 0
    let ends = false
    const length = 1 + random.below(most)
    while (requests < length && at < STREAM_BYTES && !ends) {
      const request = this.#request()
      const { op, size, addr } = request
      at = this.#header(at, op, size, addr)
      let status = this.map.status(request, this.limits)
      if (legacy && (op === DESCRIBE || op === PING)) status = 8
      if (legacy && size === 0 && status !== 8) {
        requests++
        continue
      }
      if (status === OK && op === READ) {
        const region = this.map.owner(addr)
        const body = region.bytes.subarray(addr - region.address, addr - region.address + size)
        if (!legacy) expected.push(frame(requests, OK))
        expected.push(body)
      } else if (status === OK && op === WRITE) {
        const region = this.map.owner(addr)
        at += region.bytes.copy(this.#bytes, at, addr - region.address, addr - region.address + size)
        if (!legacy) expected.push(frame(requests, OK))
      } else if (status === OK) {
        expected.push(frame(requests, OK))
      } else {
        refused.push(status)
        if (!legacy) expected.push(frame(requests, status))
        ends = legacy || isFatal(request, status, this.limits)
        // Of a lane that ends nothing behind the header is looked at: a body that would be a request is as good as any.
        const body = op === WRITE ? Math.min(size, ends ? MOST_BODY : size) : 0
        at += POISON.copy(this.#bytes, at, 0, body)
      }
      requests++
    }
    return { stream: Buffer.from(this.#bytes.subarray(0, at)), expected, refused, requests, ends }
  }

  #request() {
    const random = this.#random
    const kind = random.below(64)
    if (kind < 4) return this.#inside(random.pick(this.readable), READ)
    if (kind < 7) return this.#inside(random.pick(this.writable), WRITE)
    if (kind < 8) return { op: PING, size: 0, addr: 0 }
    const op = random.below(2) === 0 ? READ : WRITE
    const region = random.pick(this.regions)
    if (kind < 24) return { op, ...this.#border(region, op) }
    if (kind < 36) return { ...this.#inside(region, op) }
    if (kind < 44) return { op, size: this.#size(op), addr: random.below(TWO_32) + random.below(2 ** 21) * TWO_32 }
    if (kind < 54) return { op, size: this.#size(op), addr: this.stale.length > 0 ? random.pick(this.stale) + random.skewed(4096) : 8192 }
    if (kind < 60) return { op, size: this.#size(op), addr: random.pick(NOWHERE) }
    if (kind < 63 || random.below(8) > 0) return { op, size: random.skewed(MOST_BODY), addr: region.address - 1 - random.skewed(1 << 19) }
    return this.#ending(region)
  }

  /** What ends a lane. */
  #ending(region) {
    const random = this.#random
    const addr = region.address + random.skewed(region.length)
    switch (random.below(4)) {
      case 0:
        return { op: 5 + random.below(251), size: random.skewed(TWO_32), addr }
      case 1:
        return { op: random.pick([SEND, READ, WRITE]), size: random.pick(OVER), addr }
      case 2:
        return { op: random.pick([DESCRIBE, PING]), size: 1 + random.skewed(TWO_32), addr: random.pick([0, addr]) }
      default:
        return { op: WRITE, size: this.limits.drainBytes + 1 + random.skewed(1 << 29), addr: addr + 2 ** 50 }
    }
  }

  #inside(region, op) {
    const random = this.#random
    const offset = random.below(2) === 0 ? random.below(region.length) : Math.max(0, region.length - 1 - random.skewed(64))
    return { op, size: random.skewed(Math.min(MOST_BODY, region.length - offset) + 1), addr: region.address + offset }
  }

  /** Over an edge by a little or by much. */
  #border(region, op) {
    const random = this.#random
    const over = 1 + random.skewed(8192)
    switch (random.below(4)) {
      case 0:
        return { addr: region.address + region.length - random.skewed(Math.min(64, region.length)), size: 64 + over }
      case 1:
        return { addr: region.address + region.length + random.below(2), size: this.#size(op) }
      case 2:
        return { addr: region.address, size: op === READ ? region.length + over : Math.min(region.length, MOST_BODY) }
      default:
        return { addr: region.address - random.below(2), size: random.below(2) === 0 ? 0 : region.length + 1 }
    }
  }

  /** A body that is refused is sent, and read to nowhere: mostly short ones. */
  #size(op) {
    const random = this.#random
    if (op === READ) return random.below(3) === 0 ? random.pick(SIZES) : random.skewed(TWO_32 / 4)
    return random.below(2000) === 0 ? random.skewed(this.limits.drainBytes) : random.skewed(MOST_BODY)
  }

  #header(at, op, size, addr) {
    const bytes = this.#bytes
    bytes.writeUInt32LE(size % TWO_32, at)
    bytes.writeUInt32LE(Math.floor(size / TWO_32) >>> 0, at + 4)
    bytes.writeUInt32LE(addr % TWO_32, at + 8)
    bytes.writeUInt32LE(Math.floor(addr / TWO_32) >>> 0, at + 12)
    bytes.writeUInt8(op, at + 16)
    return at + HEADER_BYTES
  }
}

function frame(sequence, status) {
  const bytes = Buffer.allocUnsafe(FRAME_BYTES)
  bytes.writeUInt32LE(sequence, 0)
  bytes.writeUInt32LE(status, 4)
  return bytes
}
