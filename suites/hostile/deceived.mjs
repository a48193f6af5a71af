/** A process that connects to liars, and what it has to be like behind each lie. */
import { DEADLINE_MS } from './connection.mjs'
import { CONTENT, honest, Liar } from './liar.mjs'
import { GROWTH_BYTES, program, temporary } from './rig.mjs'

/** Enough for a body that is in the way while its memory is looked at: 64 MiB are sent from a region of their own. */
const HUGE_BYTES = 80 << 20

export class Deceived {
  #initiators = {}
  #ids = 0

  static async start({ exec }) {
    const deceived = new Deceived()
    for (const [kind, options] of Object.entries({ plain: {}, token: { token: 'correct horse battery staple' } })) {
      const initiator = program('initiator', exec)
      await initiator.call('start', { path: temporary(`initiator ${kind}`), options, hugeBytes: kind === 'plain' ? HUGE_BYTES : 0 })
      deceived.#initiators[kind] = initiator
    }
    return deceived
  }

  stop() {
    for (const { stop } of Object.values(this.#initiators)) stop()
  }

  /**
   * An operation that is lied to ends with one of `codes` in time, and its successors are served: the next one at the latest in the
   * second try, where the lie came behind the end of the first.
   */
  async lied({ script, op, codes, next = ['ok'], again = ['ok'], region = 'small', length = 4096, offset = 0, nextOffset = 0, timeoutMs = 5000, poisons = true, extraMs = 0 }) {
    const { call } = this.#initiators.plain
    const before = await call('look')
    const liar = await Liar.start(script)
    const id = this.#ids++
    try {
      const { code: connected, message } = await call('connect', { id, port: liar.port })
      if (connected !== 'ok') throw new Error(`the connect failed: ${connected} ${message}`)
      const run = async (allowed, from, what, size = length) => {
        const end = await call('operate', { id, op, region, length: size, offset: from, timeoutMs })
        if (!allowed.includes(end.code)) throw new Error(`the ${what} ended with ${end.code} (${end.message}), not ${allowed.join(' or ')}`)
        if (end.ms > DEADLINE_MS + extraMs) throw new Error(`the ${what} took ${Math.round(end.ms)} ms`)
        if (op === 'read' && end.code === 'ok' && !Buffer.from(end.bytes).equals(CONTENT.subarray(from, from + size))) throw new Error(`the ${what} has other bytes`)
        return end
      }
      const first = await run(codes, offset, 'operation')
      const small = Math.min(length, 300_000)
      await run(next, nextOffset, 'next operation', small)
      await run(again, nextOffset, 'operation behind that', small)
      return await this.#judged({ call, before, came: first.code, ms: first.ms, poisons, liar, id })
    } finally {
      await liar.stop()
    }
  }

  /** A connect that is lied to fails with one of `codes` in time. */
  async refusedToConnect(script, codes, kind = 'plain') {
    const { call } = this.#initiators[kind]
    const before = await call('look')
    const liar = await Liar.start(script)
    const id = this.#ids++
    try {
      const started = performance.now()
      const { code, message } = await call('connect', { id, port: liar.port })
      const ms = performance.now() - started
      if (!codes.includes(code)) throw new Error(`the connect ended with ${code} (${message}), not ${codes.join(' or ')}`)
      if (ms > DEADLINE_MS) throw new Error(`the connect took ${Math.round(ms)} ms`)
      return await this.#judged({ call, before, came: code, ms, poisons: false, liar, id })
    } finally {
      await liar.stop()
    }
  }

  async #judged({ call, before, came, ms, poisons, liar, id }) {
    await call('disconnect', id)
    await liar.stop()
    // An honest target is served by the same process.
    const good = await Liar.start({ request: honest })
    await call('connect', { id: 'honest', port: good.port })
    const { code, bytes } = await call('operate', { id: 'honest', op: 'read', length: 100, offset: 50 })
    await call('disconnect', 'honest')
    await good.stop()
    if (code !== undefined && code !== 'ok' && this.#initiators.plain.call === call) throw new Error(`then an honest target's read ended with ${code}`)
    if (code === 'ok' && !Buffer.from(bytes).equals(CONTENT.subarray(50, 150))) throw new Error('then an honest target gave other bytes')
    const deadline = performance.now() + DEADLINE_MS
    let after = await call('look')
    while (after.sockets > before.sockets && performance.now() < deadline) after = await call('look')
    const wrong = after.differences.map((difference) => `memory: ${difference}`)
    const poisoned = after.stats.lanes.poisoned - before.stats.lanes.poisoned
    if (poisons && poisoned === 0) wrong.push('lanes.poisoned did not move')
    if (after.sockets > before.sockets) wrong.push(`${after.sockets} sockets, not ${before.sockets}`)
    const grown = Math.max(0, after.resident - before.resident)
    if (grown > GROWTH_BYTES) wrong.push(`resident memory grew by ${grown >> 10} KiB`)
    if (wrong.length > 0) throw new Error(`${wrong.join('; ')} (ended with ${came})`)
    return { came, ms, grown, reads: 0, slowest: 0, counters: poisoned > 0 ? { 'lanes.poisoned': poisoned } : {} }
  }
}
