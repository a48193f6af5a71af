import { setTimeout as delay } from 'node:timers/promises'
import { TcpEndpoint } from 'memlane'
import { CANARY_BYTES, describeMark, FACTS_BYTES, GAP_BYTES, mark, placesIn, regionsOf } from './layout.mjs'
import { explain, grains, GRAIN, pattern, same } from './pattern.mjs'
import { Random } from '../bench/support/random.mjs'
import { Receiver } from './receiver.mjs'

const LISTEN_ATTEMPTS = 50

/** The listening endpoint of a process with its regions, which it makes anew all the time, and itself now and then. */
export class Target {
  #regions = new Map()
  #facts
  #canary
  #receiver

  constructor({ seed, process, processes, port, ledger, context, graveyard }) {
    Object.assign(this, { seed, process, processes, port, ledger, context, graveyard })
    this.where = `process ${process} target`
    this.#facts = pattern(mark(process, 0, process, 'facts'), 1, 0, FACTS_BYTES)
    this.#canary = pattern(mark(process, 0, process, 'canary'), 1, 0, CANARY_BYTES)
    this.#receiver = new Receiver(this)
  }

  takeReceived() {
    return this.#receiver.takeReceived()
  }

  follow(kind, start, more = {}) {
    return this.ledger.follow(kind, start, { where: this.where, ...more })
  }

  fail(what) {
    this.ledger.fail(`${this.where}: ${what}`)
  }

  async open() {
    for (let attempt = 1; ; attempt++) {
      try {
        this.endpoint = await TcpEndpoint.listen({ context: this.context, port: this.port })
        break
      } catch (error) {
        if (attempt === LISTEN_ATTEMPTS) throw error
        this.ledger.count('listen again', error.code)
        await delay(20)
      }
    }
    for (const [name, { bytes, access }] of Object.entries(regionsOf(this.processes))) this.#make(name, bytes, access)
    this.#receiver.start(this.endpoint)
  }

  #make(name, bytes, access) {
    const region = this.endpoint.alloc(name, bytes, { access })
    this.#regions.set(name, region)
    if (name === 'facts') new Uint8Array(region.buffer).set(this.#facts)
    if (name === 'canary') new Uint8Array(region.buffer).set(this.#canary)
  }

  /** Fences a region, looks at what lies in it, and makes it anew. */
  async remake(name) {
    const region = this.#regions.get(name)
    const { bytes, access } = regionsOf(this.processes)[name]
    const { buffer } = region
    await this.follow('fence', () => region.close())
    this.#inspect(name, new Uint8Array(buffer))
    this.graveyard.bury(`${name} of process ${this.process}`, new Uint8Array(buffer))
    this.#make(name, bytes, access)
  }

  /** Ends the endpoint; nobody may touch its regions after that. */
  async close() {
    const buffers = [...this.#regions].map(([name, region]) => [name, region.buffer])
    const silent = this.#receiver.stop()
    await this.follow('close', () => this.endpoint.close())
    await silent
    for (const [name, buffer] of buffers) {
      this.#inspect(name, new Uint8Array(buffer))
      this.graveyard.bury(`${name} of process ${this.process}, with its endpoint`, new Uint8Array(buffer))
    }
    this.#regions.clear()
  }

  async restart() {
    await this.close()
    await this.open()
  }

  /** Looks at what nobody may touch while everybody works. */
  watch() {
    for (const [name, region] of this.#regions) {
      if (name === 'facts') this.#untouched(name, new Uint8Array(region.buffer), this.#facts, 0)
      else if (name === 'canary') this.#untouched(name, new Uint8Array(region.buffer), this.#canary, 0)
      else if (name !== 'acks') this.#gaps(name, new Uint8Array(region.buffer))
    }
  }

  #inspect(name, bytes) {
    if (name === 'facts') this.#untouched(name, bytes, this.#facts, 0)
    if (name === 'canary') this.#untouched(name, bytes, this.#canary, 0)
    if (name !== 'cells' && name !== 'large') return
    this.#gaps(name, bytes)
    for (const place of placesIn(name, this.process, this.processes)) this.#atHome(name, bytes, place)
  }

  #untouched(name, bytes, expected, from) {
    if (!same(bytes, expected)) this.fail(`${name}, which nobody may write: ${explain(bytes, expected, from)}`)
  }

  #gaps(name, bytes) {
    for (const { gap } of placesIn(name, this.process, this.processes)) {
      if (gap !== undefined) this.#untouched(`a gap of ${name}`, bytes.subarray(gap, gap + GAP_BYTES), new Uint8Array(GAP_BYTES), gap)
    }
  }

  /** Whatever a whole grain says, it has to be its slot's owner's, at this very place. */
  #atHome(name, bytes, { base, bytes: length, mark: owner }) {
    for (const { at, mark: writer, operation, place } of grains(bytes.subarray(base, base + length), base)) {
      if (writer === owner && place * GRAIN === base + at) continue
      this.fail(`${name} at ${base + at}, of ${describeMark(owner)}: operation ${operation} of ${describeMark(writer)}, meant for ${place * GRAIN}`)
      return
    }
  }

  region(name) {
    return this.#regions.get(name)
  }

  /** Remakes and restarts, in the order of the seed, until `over`. */
  async run(over, worker) {
    for (let number = 0; !over(); number++) {
      const random = new Random(this.seed, this.processes, this.process, 0x7a, number)
      await delay(random.between(20, 400))
      this.watch()
      this.graveyard.watch()
      const what = random.weighted({ facts: 4, cells: 3, large: 4, restart: 1, worker: 1, nothing: 2 })
      if (what === 'restart') await this.restart()
      else if (what === 'worker') await worker()
      else if (what !== 'nothing') await this.remake(what)
    }
  }
}
