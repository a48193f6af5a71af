import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { TcpEndpoint } from 'memlane'
import { FileDirectory } from './file-directory.mjs'
import { ACTORS, mark } from './layout.mjs'
import { explain, pattern, same } from './pattern.mjs'
import { Random } from '../bench/support/random.mjs'
import { Slot } from './slot.mjs'

/** It comes behind the actors and the worker. */
export const TRAVELLER = ACTORS + 1
export const DIARY_BYTES = 4096
export const MODEL_BYTES = 4 << 20
export const TAG = 9
const CONNECT_MS = 3000
const TIMEOUT_MS = 5000
const MOST_UNSURE = 24
/** Connections to one of the others that last for one read, in each turn: what each of them left behind would add up. */
const SHORT_VISITS = 8

/** What is in the file that the host of travellers maps. */
export function modelBytes() {
  return pattern(mark(0, TRAVELLER, 0, 'facts'), 1, 0, MODEL_BYTES)
}

export function letterBytes(process, operation) {
  return pattern(mark(process, TRAVELLER, 0, 'message'), operation, 0, 64 + (operation % 512))
}

/**
 * A loop that visits a process which is killed, stopped and started anew all the time, and is found by its name alone: each
 * turn with connections of its own, and a mapped file at either end.
 */
export class Traveller {
  #operation = 0
  #model = modelBytes()
  #slot

  constructor({ seed, process, ledger, context, ports, folder, name, pauseMs }) {
    Object.assign(this, { seed, process, ledger, context, ports, name, pauseMs })
    this.directory = new FileDirectory(folder)
    this.file = join(folder, `page of ${process}`)
    this.#slot = new Slot({ region: 'diary', base: process * DIARY_BYTES, bytes: DIARY_BYTES }, mark(process, TRAVELLER, 0, 'slot'))
    writeFileSync(this.file, Buffer.alloc(1 << 20))
  }

  async run(over) {
    for (let number = 0; !over(); number++) {
      this.where = `process ${this.process} traveller turn ${number}`
      const endpoint = await TcpEndpoint.listen({ context: this.context, directory: this.directory })
      const page = await endpoint.mapFile('page', this.file, { access: 'none' })
      await this.#visit(endpoint, page, new Random(this.seed, this.process, TRAVELLER, number))
      for (let left = SHORT_VISITS; left > 0; left--) await this.#shortly(endpoint)
      await this.#follow('close', () => endpoint.close())
      await delay(this.pauseMs)
    }
  }

  async #visit(endpoint, page, random) {
    const { value: peer } = await this.#follow('named connect', () => endpoint.connect({ name: this.name }, { timeoutMs: CONNECT_MS }), CONNECT_MS)
    if (peer === undefined) return
    for (let left = random.between(1, 4); left > 0; left--) {
      await Promise.all([this.#readFile(peer, page, random), this.#write(peer, random), this.#send(peer)])
      await this.#look(peer)
    }
  }

  async #shortly(endpoint) {
    const port = this.ports[(this.process + 1) % this.ports.length]
    const { value: peer } = await this.#follow('connect', () => endpoint.connect(`tcp://127.0.0.1:${port}`, { timeoutMs: CONNECT_MS }), CONNECT_MS)
    if (peer === undefined) return
    await this.#follow('read', () => peer.read('facts', { length: 8, timeoutMs: TIMEOUT_MS }), TIMEOUT_MS)
    await this.#follow('close', () => peer.close())
  }

  async #readFile(peer, page, random) {
    const { offset, length } = random.range(MODEL_BYTES, page.length)
    const options = { into: page, remoteOffset: offset, length, timeoutMs: TIMEOUT_MS }
    const { error } = await this.#follow('file read', () => peer.read('model', options), TIMEOUT_MS)
    if (error !== undefined) return
    const [seen, expected] = [page.copyOut(0, length), this.#model.subarray(offset, offset + length)]
    if (!same(seen, expected)) this.ledger.fail(`${this.where}: the mapped file: ${explain(seen, expected, offset)}`)
  }

  async #write(peer, random) {
    const { base, region } = this.#slot.place
    const before = peer.regions.get(region)?.addr
    if (this.#slot.model(before).unsure >= MOST_UNSURE) return
    const { offset, length } = random.range(DIARY_BYTES, DIARY_BYTES)
    const operation = ++this.#operation
    const bytes = this.#slot.bytes(operation, offset, length)
    const { error } = await this.#follow('write', () => peer.write(region, bytes, { remoteOffset: base + offset, timeoutMs: TIMEOUT_MS }), TIMEOUT_MS)
    if (error !== undefined && error.outcome !== 'unknown') return
    this.#slot.record(before, peer.regions.get(region)?.addr, [{ operation, offset, length, sure: error === undefined }])
  }

  async #look(peer) {
    const { base, region } = this.#slot.place
    const before = peer.regions.get(region)?.addr
    const { value } = await this.#follow('read', () => peer.read(region, { remoteOffset: base, length: DIARY_BYTES, timeoutMs: TIMEOUT_MS }), TIMEOUT_MS)
    if (value === undefined || before === undefined || peer.regions.get(region)?.addr !== before) return
    const wrong = this.#slot.model(before).check(value, 0)
    if (wrong !== undefined) this.ledger.fail(`${this.where}: its diary: ${wrong}`)
  }

  #send(peer) {
    const bytes = letterBytes(this.process, ++this.#operation)
    return this.#follow('send', () => peer.send(bytes, { tag: TAG, timeoutMs: TIMEOUT_MS }), TIMEOUT_MS)
  }

  #follow(kind, start, timeoutMs) {
    return this.ledger.follow(kind, start, { where: this.where, ...(timeoutMs !== undefined && { timeoutMs }) })
  }
}
