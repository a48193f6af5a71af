/**
 * One exchange, and a fault after each number of its bytes. What every operation has to do then: end in time, with a code that is
 * about the connection, and tell no untruth; and the next one works within a second of the end of the fault.
 */
import { CELL, cellBytes, LARGE } from './content.mjs'
import { Party, until } from './process.mjs'
import { KINDS, Proxy } from './proxy.mjs'

const WITHIN_MS = 1000
const TOKEN = 'a secret for the faults alone'
/** Deadlines short enough to wait for. */
export const LIMITS = {
  token: TOKEN,
  connectTimeoutMs: 400,
  handshakeTimeoutMs: 400,
  headerTimeoutMs: 600,
  progressTimeoutMs: 500,
  drainMs: 100,
  idleTimeoutMs: 5000,
  maxConnectionsPerSource: 10_000,
}
const TIMEOUT_MS = 250
/** What an operation without a deadline may take: dialling, the handshake, and as long as nothing moves. */
const UNTIMED_MS = LIMITS.connectTimeoutMs + LIMITS.handshakeTimeoutMs + LIMITS.progressTimeoutMs
const DELAY_MS = 60
/** Longer than all operations of an exchange may take together. */
const UNENDED_MS = 10_000
const NO_END = 'no end'
const AT_ONCE = 20
const CODES = ['ERR_TIMEOUT', 'ERR_PEER_CLOSED', 'ERR_CONNECT']
/** No checksum covers what TCP delivers: whose stream has bytes too many may see any refusal, and other bytes than were sent. */
const ANY_CODE = /^ERR_(?!INTERNAL|MEMORY)[A-Z_]+$/

/** A target and an initiator that live through many faults. */
export class Pair {
  static async start({ slots, large = false, limits = {} }) {
    const pair = new Pair()
    const options = { ...LIMITS, ...limits }
    pair.target = new Party('the target')
    pair.initiator = new Party('the initiator')
    pair.port = (await pair.target.ask('listen', { options })).port
    await pair.target.ask('facts')
    await pair.target.ask('alloc', { name: 'cells', bytes: slots * CELL.stride, access: 'readwrite' })
    if (large) {
      await pair.target.ask('alloc', { name: 'large', bytes: LARGE, access: 'readwrite' })
      await pair.target.ask('alloc', { name: 'large facts', bytes: LARGE, access: 'read' })
      await pair.target.ask('fillLarge')
    }
    await pair.target.ask('receive')
    await pair.initiator.ask('listen', { options })
    for (const party of [pair.target, pair.initiator]) party.before = (await party.ask('left')).sockets
    return pair
  }

  /** What both have left when nothing is going on any more, in words. */
  async left() {
    const problems = []
    for (const party of [this.target, this.initiator]) {
      const nothing = ({ sockets, queuedBytes, inFlight, open }) => sockets - party.before + queuedBytes + inFlight + open === 0
      const left = await until(() => party.ask('left'), nothing, 2000)
      if (!nothing(left)) problems.push(`${party.what}, which had ${party.before} sockets, keeps ${JSON.stringify(left)}`)
    }
    return problems
  }

  end() {
    return Promise.all([this.target.kill(), this.initiator.kill()])
  }
}

/** How many bytes go each way in each connection of an exchange without a fault. */
export async function record(pair, { large = false, timeoutMs = 5000 } = {}) {
  const proxy = await Proxy.listen(pair.port)
  const ends = await pair.initiator.ask('exchange', { port: proxy.port, slot: 0, number: 0, timeoutMs, large })
  const wrong = ends.find(({ right }) => right !== true)
  if (wrong !== undefined) throw new Error(`an exchange without a fault: ${JSON.stringify(wrong)}`)
  await pair.initiator.ask('part', { slot: 0 })
  await until(() => proxy.roads.size, (size) => size === 0, 2000)
  await proxy.close()
  return proxy.passed
}

/** The positions of every kind of fault in every direction of every connection, as rows. */
export function rows(passed, { large = false } = {}) {
  const found = []
  for (const [connection, lengths] of passed.entries()) {
    for (const direction of ['up', 'down']) {
      for (const kind of [...KINDS, 'black hole, no deadline']) {
        // What an extra byte does among millions is what it does among forty.
        if (large && kind === 'duplicate') continue
        const length = lengths[direction]
        const positions = large ? boundaries(length) : Array.from({ length: length + 1 }, (_, at) => at)
        found.push({ kind, connection, direction, positions })
      }
    }
  }
  return found
}

/** Around what may be a boundary: prefaces, proofs, headers, statuses, pieces of 1 MiB. */
function boundaries(length) {
  const marks = [0, 64, 96, 113, ...Array.from({ length: Math.floor(length / (1 << 20)) + 1 }, (_, piece) => [piece << 20, (piece << 20) + 17 * piece, (piece << 20) + 96 + 17 * (piece + 1)]).flat(), length >> 1, length - 8, length]
  const all = marks.flatMap((mark) => [mark - 1, mark, mark + 1]).filter((at) => at >= 0 && at <= length)
  return [...new Set(all)].sort((one, other) => one - other)
}

/** Goes through the positions of one row, many at once; what was wrong at which of them, in words. */
export async function run(pair, row, { number, large = false }) {
  const problems = []
  const codes = {}
  const left = [...row.positions]
  let second = 0
  const lane = async (slot) => {
    for (let at = left.shift(); at !== undefined; at = left.shift()) {
      const one = new Case(pair, { ...row, at, slot, number: number(), large })
      for (const problem of await one.run()) problems.push(`at ${at}: ${problem}`)
      for (const code of one.codes) codes[code] = (codes[code] ?? 0) + 1
      second += one.secondTries
    }
  }
  // Large exchanges share one region at the target, so that they go one by one.
  await Promise.all(Array.from({ length: large ? 1 : AT_ONCE }, (_, slot) => lane(slot)))
  return { problems, codes, second }
}

/** One fault at one position. */
class Case {
  codes = []
  /** Operations after the fault that had to be asked for twice. */
  secondTries = 0
  #problems = []

  constructor(pair, given) {
    Object.assign(this, { pair, ...given })
  }

  async run() {
    const proxy = await Proxy.listen(this.pair.port)
    const untimed = this.kind.endsWith('no deadline')
    const kind = untimed ? 'black hole' : this.kind
    const fault = { kind, at: this.at, milliseconds: DELAY_MS, bytes: 1 + (this.at % 16) }
    proxy.plan = (number) => (number === this.connection ? { [this.direction]: fault } : {})
    const timeoutMs = untimed ? 0 : this.large ? 4 * TIMEOUT_MS : TIMEOUT_MS
    const ends = await this.#exchange(proxy, timeoutMs)
    for (const end of ends) this.#judge(end, untimed ? UNTIMED_MS : timeoutMs)
    await this.#content(ends)
    const lifted = performance.now()
    if (kind === 'duplicate') proxy.reset()
    proxy.lift()
    await this.#again(proxy, lifted)
    const { queuedBytes } = await this.pair.initiator.ask('part', { slot: this.slot })
    if (queuedBytes !== 0) this.#problems.push(`${queuedBytes} bytes stay in the queue of the peer`)
    const open = await until(() => proxy.roads.size, (size) => size === 0, 2000)
    if (open !== 0) this.#problems.push(`${open} connections stay open when the peer is closed`)
    await proxy.close()
    return this.#problems
  }

  /** The ends of an exchange, or one end that says that there was none in all that time. */
  #exchange({ port }, timeoutMs) {
    const { slot, number, large } = this
    const ends = this.pair.initiator.ask('exchange', { port, slot, number, timeoutMs, large })
    let timer
    const none = [{ what: 'the exchange', code: NO_END, message: `within ${UNENDED_MS} ms`, ms: UNENDED_MS }]
    const late = new Promise((resolve) => (timer = setTimeout(resolve, UNENDED_MS, none)))
    return Promise.race([ends, late]).finally(() => clearTimeout(timer))
  }

  #judge({ what, code, right, ms, message }, deadline) {
    if (ms > deadline + WITHIN_MS) this.#problems.push(`${what} ended after ${Math.round(ms)} ms, its deadline was ${deadline} ms`)
    const spoilt = this.kind === 'duplicate'
    if (code === undefined) {
      if (!right && !spoilt) this.#problems.push(`${what} succeeded with wrong bytes`)
      return
    }
    if (code !== NO_END) this.codes.push(code)
    const known = spoilt ? ANY_CODE.test(code) : CODES.includes(code)
    if (!known) this.#problems.push(`${what} ended with ${code}: ${message}`)
  }

  /** What the target has of what succeeded, while the fault still holds. */
  async #content(ends) {
    const done = (wanted) => ends.some(({ what, code }) => what === wanted && code === undefined)
    if (this.large) {
      if (!done('write')) return
      const [seen, wanted] = await Promise.all([this.pair.target.ask('digest', { name: 'large', length: LARGE }), this.pair.initiator.ask('digest', { name: `large ${this.slot}`, length: LARGE })])
      if (seen !== wanted) this.#problems.push('the write succeeded, and the target has other bytes')
      return
    }
    const expected = Buffer.from(cellBytes(this.slot, this.number))
    const { cell, letter } = await this.pair.target.ask('peek', { slot: this.slot })
    const seen = Buffer.from(cell, 'base64')
    if (seen.subarray(CELL.bytes).some((byte) => byte !== 0)) this.#problems.push('bytes behind the range of the write have changed')
    if (this.kind === 'duplicate') return
    if (done('write') && !seen.subarray(0, CELL.bytes).equals(expected)) this.#problems.push('the write succeeded, and the target has other bytes')
    if (!done('send')) return
    // A receive holds it; JavaScript learns of that in its own time.
    const came = (seenNow) => seenNow === expected.toString('base64')
    const look = async () => (await this.pair.target.ask('peek', { slot: this.slot })).letter
    if (!came(letter) && !came(await until(look, came, WITHIN_MS))) this.#problems.push('the message was sent, and the target has another one')
  }

  /** Everything works again within a second. What the fault has left behind may cost one more operation of each kind. */
  async #again(proxy, lifted) {
    const failed = []
    while (performance.now() - lifted < WITHIN_MS) {
      const ends = await this.#exchange(proxy, WITHIN_MS)
      const wrong = ends.filter(({ right }) => right !== true)
      if (wrong.length === 0) {
        const took = performance.now() - lifted
        if (took > WITHIN_MS) this.#problems.push(`everything worked again after ${Math.round(took)} ms`)
        this.secondTries += failed.length
        return
      }
      failed.push(...wrong)
    }
    this.#problems.push(`nothing worked within a second of the end of the fault: ${failed.slice(0, 3).map(({ what, code, message }) => `${what} ${code ?? 'wrong bytes'} (${message})`).join('; ')}`)
  }
}
