import { setTimeout as delay } from 'node:timers/promises'
import { TcpEndpoint } from 'memlane'
import * as ends from './operations/ends.mjs'
import * as messages from './operations/messages.mjs'
import * as reads from './operations/reads.mjs'
import * as writes from './operations/writes.mjs'
import { FACTS_BYTES, largeOf, mark, noteOf, slotOf } from './layout.mjs'
import { TIMEOUT_MS } from './ledger.mjs'
import { pattern, explain, same } from './pattern.mjs'
import { turn } from './plan.mjs'
import { Scratch } from './scratch.mjs'
import { Slot } from './slot.mjs'

/** What a turn of each kind does. */
const KINDS = new Map([reads, writes, messages, ends].flatMap((room) => Object.entries(room)))
const SCRATCH_BYTES = 4 << 20

/** One loop of operations, with an endpoint, peers and local memory of its own. */
export class Actor {
  #peers = new Map()
  #slots = new Map()
  #operation = 0
  #scratches = 0
  /** When it first saw the facts of each peer at their present address. */
  known = new Map()
  /** Addresses of regions in which a notified write was not acknowledged. */
  retired = new Set()
  /** Messages whose send succeeded: numbers by mark. */
  sent = new Map()

  /**
   * @param given.ports of all processes by their number
   * @param given.pauseMs between two turns, or undefined
   * @param given.facts what the facts of each process are, made when they are first needed; one table for all actors
   */
  constructor({ seed, process, actor, ports, ledger, context, graveyard, facts, pauseMs }) {
    Object.assign(this, { seed, process, actor, ports, ledger, context, graveyard, facts, pauseMs })
  }

  /** What was sent since this was asked last. */
  takeSent() {
    const sent = [...this.sent]
    this.sent.clear()
    return sent
  }

  /** Does one turn after the other until `over` says so. */
  async run(over) {
    await this.open()
    for (let number = 0; !over(); number++) {
      await this.take(turn(this.seed, this.ports.length, this.process, this.actor, number))
      if (this.pauseMs !== undefined) await delay(this.pauseMs)
    }
    await this.close()
  }

  async take(plan) {
    const where = `process ${this.process} actor ${this.actor} turn ${plan.number} (${plan.kind})`
    this.where = where
    const touched = this.scratch.sweep()
    if (touched !== undefined) this.ledger.fail(`memory of ended operations was touched, seen before ${where}: ${touched}`)
    try {
      await KINDS.get(plan.kind)(this, plan)
    } catch (error) {
      this.ledger.fail(`${where} threw ${error.stack}`)
    }
  }

  async open() {
    const options = this.context === undefined ? {} : { context: this.context }
    const { value } = await this.follow('listen', () => TcpEndpoint.listen(options))
    this.endpoint = value
    this.makeScratch()
  }

  makeScratch() {
    this.scratch = new Scratch(this.endpoint.alloc(`scratch ${this.#scratches++}`, SCRATCH_BYTES))
  }

  /** Memory that was its own: the fence holds, so that nobody may touch it again. */
  buryScratch() {
    this.graveyard.bury(`scratch of actor ${this.actor}`, this.scratch.leave())
  }

  async close() {
    await this.follow('close', () => this.endpoint.close())
    this.buryScratch()
    this.forget()
  }

  follow(kind, start, more = {}) {
    return this.ledger.follow(kind, start, { where: this.where, ...more })
  }

  fail(what) {
    this.ledger.fail(`${this.where}: ${what}`)
  }

  /** Starts what `give` makes of options, and gives it up as the plan says. */
  async attempt(kind, plan, give, more = {}) {
    const { way, timeoutMs = TIMEOUT_MS, turns, milliseconds } = plan.giveUp
    const may = [...(more.may ?? [])]
    if (way === 'deadline') may.push('ERR_TIMEOUT')
    if (way === 'cancel' || way === 'signal') may.push('ERR_ABORTED')
    const controller = way === 'signal' ? new AbortController() : undefined
    const options = controller === undefined ? { timeoutMs } : { timeoutMs, signal: controller.signal }
    return this.follow(
      kind,
      async () => {
        const future = give(options)
        if (way === 'signal') void this.#pause(turns, milliseconds).then(() => controller.abort())
        if (way === 'cancel') void this.#pause(turns, milliseconds).then(() => future.cancel())
        return future
      },
      { timeoutMs, may }
    )
  }

  async #pause(turns, milliseconds) {
    if (milliseconds !== undefined) return delay(milliseconds)
    for (let left = turns; left > 0; left--) await new Promise(setImmediate)
  }

  acknowledged(mine, operation) {
    const numbers = this.sent.get(mine)
    if (numbers === undefined) this.sent.set(mine, [operation])
    else numbers.push(operation)
  }

  /** The number of its next write or message. */
  next() {
    return ++this.#operation
  }

  url(peer) {
    return `tcp://127.0.0.1:${this.ports[peer]}`
  }

  /** The peer of that number, or undefined when nobody is there now. */
  async peer(number) {
    const known = this.#peers.get(number)
    if (known !== undefined) return known
    const { value } = await this.follow('connect', () => this.endpoint.connect(this.url(number), { timeoutMs: TIMEOUT_MS }))
    if (value === undefined) await delay(20)
    else this.#peers.set(number, value)
    return value
  }

  forget(number) {
    if (number === undefined) this.#peers.clear()
    else this.#peers.delete(number)
  }

  slot(target, kind) {
    const key = `${kind} ${target}`
    let slot = this.#slots.get(key)
    if (slot === undefined) {
      const place = { slot: slotOf, note: noteOf, large: largeOf }[kind](this.process, this.actor)
      slot = new Slot(place, mark(this.process, this.actor, target, kind))
      this.#slots.set(key, slot)
    }
    return slot
  }

  /** Looks at bytes that were read of the facts of `target`; `young` regions may still be zeros. */
  checkFacts(target, bytes, offset, young) {
    const mine = mark(target, 0, target, 'facts')
    let facts = this.facts.get(target)
    if (facts === undefined) this.facts.set(target, (facts = pattern(mine, 1, 0, FACTS_BYTES)))
    const expected = facts.subarray(offset, offset + bytes.byteLength)
    if (same(bytes, expected)) return
    if (young && bytes.every((byte, at) => byte === 0 || byte === expected[at])) return this.ledger.count('facts not filled yet', 'ok')
    this.fail(`read of facts of process ${target}: ${explain(bytes, expected, offset)}`)
  }
}
