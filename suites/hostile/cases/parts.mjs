/** What many cases are made of. */
import { ping, read, STATUS_NAMES, write } from '../wire.mjs'

export const GIB = 2 ** 30
export const EVIL = Buffer.from('overwritten by an adversary')

/** Numbers that no range survives, with how they are written. */
export const HUGE = [['2^31', 2 ** 31], ['2^32', 2 ** 32], ['2^63', 2n ** 63n], ['2^64-1', 2n ** 64n - 1n]]

export const rejected = (status) => ({ [`rejected.${STATUS_NAMES[status]}`]: 1 })

/** Opcode 8 is counted twice: as refused, and as a protocol error. */
export const BAD = { 'rejected.bad_request': 1, protocolErrors: 1 }

/**
 * `request` between two pings, and a WRITE behind it that must not be executed where the lane has to end. What came back in
 * words; throws where that is not `status`, with `body` behind it.
 */
export function probe(request, status, { body, ends = false, tail = Buffer.alloc(0) } = {}) {
  return async ({ native }) => {
    const lane = await native()
    lane.write(Buffer.concat([ping(), request, tail, ping()]))
    await lane.status(0, 0)
    const name = await lane.status(1, status)
    if (body !== undefined && !(await lane.take(body.length)).equals(body)) throw new Error('other bytes than the region holds')
    if (ends) return `${name}, ${await lane.ends()}`
    await lane.status(2, 0)
    return name
  }
}

/** The same on the legacy wire, which says no by a close: a READ before it is answered, nothing behind it is executed. */
export function refused(target, request) {
  const { address, bytes } = target.region('page')
  return async ({ open }) => {
    const connection = await open()
    connection.write(Buffer.concat([read(address, 16), request, write(address, EVIL)]))
    const heard = await connection.rest()
    if (!heard.equals(bytes.subarray(0, 16))) throw new Error(`${heard.length} bytes came back, not the 16 asked for before`)
    return 'close'
  }
}

/** A request on the legacy wire that is answered by `expected`, and the one behind it too. */
export function served(target, request, expected = Buffer.alloc(0)) {
  const { address, bytes } = target.region('page')
  return async ({ open }) => {
    const connection = await open()
    connection.write(Buffer.concat([request, read(address, 16)]))
    if (!(await connection.take(expected.length)).equals(expected)) throw new Error('other bytes than the region holds')
    if (!(await connection.take(16)).equals(bytes.subarray(0, 16))) throw new Error('other bytes behind it')
    return `${expected.length} bytes`
  }
}
