/** What docs/protocol.md says about a stream of requests, worked out without any networking. */
import {
  ACCESS_DENIED, BAD_REQUEST, DESCRIBE, HEADER_BYTES, LIMIT, NO_SUCH_REGION, OK, OUT_OF_RANGE, parseHeader, PING, READ, SEND, WRITE,
} from './wire.mjs'

const NOTHING = Buffer.alloc(0)

/** The regions of a target in the order of their addresses, to be asked about one. */
export class Regions {
  constructor(regions) {
    this.sorted = [...regions].sort((one, other) => one.address - other.address)
  }

  /** The region that owns the address: its bytes' and the one behind them. */
  owner(addr) {
    let low = 0
    let high = this.sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.sorted[middle].address <= addr) low = middle + 1
      else high = middle
    }
    const region = this.sorted[low - 1]
    return region !== undefined && addr <= region.address + region.length ? region : undefined
  }

  /**
   * The status of one request. Numbers beyond 2^53 have lost their last digits by then: nothing that is granted is as large.
   */
  status({ op, size, addr }, { maxOperationBytes }) {
    if (op > PING || ((op === DESCRIBE || op === PING) && (size !== 0 || addr !== 0))) return BAD_REQUEST
    if (size > maxOperationBytes) return LIMIT
    if (op !== READ && op !== WRITE) return OK
    const region = this.owner(addr)
    if (region === undefined) return NO_SUCH_REGION
    if (size > region.length - (addr - region.address)) return OUT_OF_RANGE
    const granted = op === READ ? region.access.startsWith('read') : region.access.endsWith('write')
    return granted ? OK : ACCESS_DENIED
  }
}

/** Whether nothing behind a request of this status is parsed. */
export function isFatal({ op, size }, status, { drainBytes }) {
  if (status === BAD_REQUEST || status === LIMIT) return true
  return status !== OK && op === WRITE && size > drainBytes
}

/**
 * What a lane has to answer to a stream and then a half close: `answers` in order, each a sequence, a status and a body (`undefined`
 * for the endpoint info); `sends` whose status comes at any time; the writes that were `applied`, and what one that was cut off has
 * left undefined. `legacy` has answers without frames, and any refusal ends it.
 */
export function outcome(stream, regions, limits, { legacy = false } = {}) {
  const map = new Regions(regions)
  const result = { answers: [], sends: [], applied: [], undefinedRanges: [], refused: [], closes: false }
  const contents = (region) => (region.now ??= Buffer.from(region.bytes))
  let at = 0
  for (let sequence = 0; stream.length - at >= HEADER_BYTES; sequence++) {
    const request = parseHeader(stream, at)
    const { op, size, addr } = request
    at += HEADER_BYTES
    const body = stream.subarray(at, Math.min(stream.length, at + size))
    let status = map.status(request, limits)
    if (legacy && (op === DESCRIBE || op === PING)) status = BAD_REQUEST
    if (legacy && size === 0 && status !== BAD_REQUEST) continue
    if (status !== OK) {
      result.refused.push(status)
      if (!legacy) result.answers.push({ sequence, status, body: NOTHING })
      if (legacy || isFatal(request, status, limits)) return { ...result, closes: true }
      if (op === WRITE) at += body.length
      if (op === WRITE && body.length < size) return result
      continue
    }
    if (op === SEND) {
      if (size > limits.maxUnexpectedBytes) {
        // Too large to be kept: it stays in the socket, and so does the end of the stream behind it, until nobody has come for it.
        result.sends.push(sequence)
        if (legacy || size > limits.drainBytes) return { ...result, closes: true }
        at += body.length
        if (body.length < size) return result
        continue
      }
      if (body.length < size) return result
      result.sends.push(sequence)
      at += body.length
      continue
    }
    const region = map.owner(addr)
    if (op === READ) {
      const offset = addr - region.address
      result.answers.push({ sequence, status, body: Buffer.from(contents(region).subarray(offset, offset + size)), region: region.name, offset })
    } else if (op === WRITE) {
      const offset = addr - region.address
      if (body.length < size) {
        result.undefinedRanges.push({ region: region.name, offset, length: size })
        return result
      }
      body.copy(contents(region), offset)
      result.applied.push({ region: region.name, offset, bytes: body })
      if (!legacy) result.answers.push({ sequence, status, body: NOTHING })
      at += body.length
    } else result.answers.push({ sequence, status, body: op === PING ? NOTHING : undefined })
  }
  return result
}
