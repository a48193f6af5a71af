/** A memlane process under test, driven over its IPC channel: `{ id, op, ... }` in, `{ id, ok }` or `{ id, error }` out. */
import { createHash } from 'node:crypto'
import { readdirSync, readlinkSync } from 'node:fs'
import { TcpContext, TcpEndpoint } from 'memlane'
import { CELL, cellBytes, FACTS, factBytes, LARGE, largeBytes } from './content.mjs'

const MESSAGE_MS = 500

let endpoint
let context
const regions = new Map()
const letters = new Map()
const kept = new Map()
const events = []
const peers = new Map()
let load

process.once('disconnect', () => process.exit(9))

/** How one operation ended, in words that fit through a channel. */
async function ended(what, start, check = () => true) {
  const began = performance.now()
  const result = { what }
  try {
    const value = await start()
    result.right = check(value)
  } catch (error) {
    Object.assign(result, { code: error.code ?? `${error}`, outcome: error.outcome, message: error.message })
  }
  return { ...result, ms: performance.now() - began }
}

function sockets() {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

const same = (one, other) => Buffer.compare(one, other) === 0
const digest = (bytes) => createHash('sha1').update(bytes).digest('base64')

const operations = {
  async listen({ options, port }) {
    context = new TcpContext(options)
    endpoint = await TcpEndpoint.listen({ context, port })
    endpoint.on('error', ({ code, message }) => events.push({ code, message }))
    return { port: endpoint.port, at: String(process.hrtime.bigint()) }
  },

  alloc({ name, bytes, access, fill }) {
    const region = endpoint.alloc(name, bytes, { access })
    regions.set(name, region)
    if (fill !== undefined) new Uint8Array(region.buffer).fill(fill)
  },

  facts() {
    const region = endpoint.alloc('facts', FACTS, { access: 'read' })
    new Uint8Array(region.buffer).set(factBytes(0, FACTS))
  },

  fillLarge() {
    new Uint8Array(regions.get('large facts').buffer).set(largeBytes(0, 0))
  },

  async map({ name, path, access }) {
    regions.set(name, await endpoint.mapFile(name, path, { access }))
  },

  /** Takes messages, and keeps the last one of each tag. */
  receive() {
    void (async () => {
      for await (const { tag, data } of endpoint.messages()) letters.set(tag, Buffer.from(data).toString('base64'))
    })().catch(() => undefined)
  },

  /** What lies in a cell and in the gap behind it, and the last message with its number. */
  peek({ slot }) {
    const cell = regions.get('cells').copyOut(slot * CELL.stride, CELL.stride)
    return { cell: Buffer.from(cell).toString('base64'), letter: letters.get(slot) }
  },

  filled: ({ length, fill }) => digest(new Uint8Array(length).fill(fill)),

  digest({ name, length }) {
    return digest(regions.get(name).copyOut(0, length))
  },

  /** Closes a region and keeps its memory in sight. */
  async fence({ name, drainMs, mapped }) {
    const region = regions.get(name)
    if (!mapped) kept.set(name, new Uint8Array(region.buffer))
    await region.close({ drainMs })
  },

  keptDigest: ({ name }) => digest(kept.get(name)),

  /** The sockets that it has, and what waits in its queues. */
  left() {
    const { queuedBytes, operations: { inFlight }, connections } = endpoint.stats()
    return { sockets: sockets(), queuedBytes, inFlight, open: connections.open }
  },

  stats: () => endpoint.stats(),
  events: () => events.splice(0),

  /** Everything once, by a peer of its own, which `part` gives up. Each operation has `timeoutMs`; 0 is none. */
  async exchange({ port, slot, number, timeoutMs, large }) {
    const ends = []
    let peer = peers.get(slot)
    if (peer === undefined) {
      ends.push(await ended('connect', async () => (peer = await endpoint.connect(`tcp://127.0.0.1:${port}`, { timeoutMs }))))
      if (peer === undefined) return ends
      peers.set(slot, peer)
    }
    if (large) return [...ends, ...(await largeExchange(peer, slot, number, timeoutMs))]
    const bytes = cellBytes(slot, number)
    const from = (slot * 64) % (FACTS - CELL.bytes)
    ends.push(await ended('write', () => peer.write('cells', bytes, { remoteOffset: slot * CELL.stride, timeoutMs })))
    const facts = (value) => same(value, factBytes(from, CELL.bytes))
    ends.push(await ended('read', () => peer.read('facts', { remoteOffset: from, length: CELL.bytes, timeoutMs }), facts))
    // How long a message may wait for its receive, nobody but its sender says.
    ends.push(await ended('send', () => peer.send(bytes, { tag: slot, timeoutMs: timeoutMs || MESSAGE_MS })))
    return ends
  },

  async part({ slot }) {
    const peer = peers.get(slot)
    peers.delete(slot)
    const queuedBytes = peer?.stats().queuedBytes
    await peer?.close()
    return { queuedBytes: queuedBytes ?? 0 }
  },

  async connect({ port, slot, timeoutMs }) {
    return ended('connect', async () => peers.set(slot, await endpoint.connect(`tcp://127.0.0.1:${port}`, { timeoutMs })))
  },

  write({ slot, name, length, fill, timeoutMs }) {
    return ended('write', () => peers.get(slot).write(name, new Uint8Array(length).fill(fill), { timeoutMs }))
  },

  read({ slot, name, length, timeoutMs }) {
    return ended('read', () => peers.get(slot).read(name, { length, timeoutMs }), (value) => digest(value))
  },

  /** Starts loops of operations, which `unload` ends. */
  load({ slot, reads, writes, largeReads, timeoutMs, patient }) {
    load = new Load(peers.get(slot), timeoutMs, patient)
    load.start({ reads, writes, largeReads })
  },

  loaded: () => load.report(),
  resume: () => load.resume(),
  unload: () => load.end(),
}

async function largeExchange(peer, slot, number, timeoutMs) {
  const name = `large ${slot}`
  let local = regions.get(name)
  if (local === undefined) regions.set(name, (local = endpoint.alloc(name, LARGE)))
  const bytes = new Uint8Array(local.buffer)
  bytes.set(largeBytes(slot, number))
  const write = await ended('write', () => peer.write('large', local, { timeoutMs }))
  const into = endpoint.alloc(`${name} into`, LARGE)
  const facts = () => same(new Uint8Array(into.buffer), largeBytes(0, 0))
  const read = await ended('read', () => peer.read('large facts', { into, length: LARGE, timeoutMs }), facts)
  await into.close()
  return [write, read]
}

/** Operations that follow each other without end, several of each kind at once, until it is told to end. */
class Load {
  #peer
  #timeoutMs
  #over = false
  #patient
  #resting = []
  #loops = []
  #ends = { ok: {}, failed: [] }

  /** @param patient whether a loop whose operation has failed waits for `resume` */
  constructor(peer, timeoutMs, patient) {
    this.#peer = peer
    this.#timeoutMs = timeoutMs
    this.#patient = patient
  }

  resume() {
    for (const resolve of this.#resting.splice(0)) resolve()
  }

  start({ reads = 0, writes = 0, largeReads = 0 }) {
    const timeoutMs = this.#timeoutMs
    const many = (count, make) => Array.from({ length: count }, (_, index) => make(index))
    this.#loops = [
      ...many(reads, () => this.#run('read', () => this.#peer.read('facts', { length: 64, timeoutMs }))),
      ...many(largeReads, () => this.#run('large read', () => this.#peer.read('large facts', { length: LARGE, timeoutMs }))),
      ...many(writes, (index) => this.#run('write', () => this.#peer.write('cells', cellBytes(index, 1), { remoteOffset: index * CELL.stride, timeoutMs }))),
    ]
  }

  async #run(kind, start) {
    while (!this.#over) {
      const began = process.hrtime.bigint()
      try {
        await start()
        const at = process.hrtime.bigint()
        const ok = (this.#ends.ok[kind] ??= { count: 0, slowestMs: 0 })
        ok.count++
        // The first of its kind since it was asked last, by the clock that all processes of a machine share.
        ok.first ??= String(at)
        ok.slowestMs = Math.max(ok.slowestMs, Number(at - began) / 1e6)
      } catch (error) {
        this.#ends.failed.push({ kind, code: error.code ?? `${error}`, outcome: error.outcome, ms: Number(process.hrtime.bigint() - began) / 1e6 })
        await new Promise((resolve) => (this.#patient && !this.#over ? this.#resting.push(resolve) : setTimeout(resolve, 2)))
      }
    }
  }

  report() {
    const ends = this.#ends
    this.#ends = { ok: {}, failed: [] }
    return ends
  }

  async end() {
    this.#over = true
    this.resume()
    await Promise.all(this.#loops)
    return this.report()
  }
}

process.on('message', async ({ id, op, ...given }) => {
  try {
    process.send({ id, ok: await operations[op](given) })
  } catch (error) {
    process.send({ id, error: `${op}: ${error.stack}`, code: error.code })
  }
})
