/** Targets and their good clients; runs one attack at a time and looks at all that it must leave behind. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { caller } from '../../bench/support/channel.mjs'
import { authenticated, Connection, DEADLINE_MS, legacy, native } from './connection.mjs'
import { CANARY, contentOf } from './layout.mjs'
import { ping, read } from './wire.mjs'

/** What the next honest client comes from. */
const HONEST = '127.0.0.3'

/** Short enough to wait for. Whatever is said of deadlines in the cases is said of these. */
export const LIMITS = {
  handshakeTimeoutMs: 700,
  headerTimeoutMs: 700,
  progressTimeoutMs: 1000,
  unexpectedTimeoutMs: 400,
  drainMs: 500,
  maxUnexpectedBytes: 64 << 10,
}

/** Resident memory that may be there while an attack goes on, and when it is over; Node's own comes and goes by some MiB. */
export const GROWTH_BYTES = (24 << 20) * (DEADLINE_MS / 1000)

/** No case takes so long; one that does says which it is. */
const WATCHDOG_MS = 30_000

const children = new Set()
const folder = mkdtempSync(join(tmpdir(), 'memlane-hostile-'))
let files = 0

/** Calls into a process of this suite's. `exec` is a command to run it under: a sanitizer, a debugger. */
export function program(name, exec = []) {
  const command = [...exec, process.execPath, '--expose-gc', fileURLToPath(new URL(`./${name}.mjs`, import.meta.url))]
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' })
  children.add(child)
  child.once('exit', () => children.delete(child))
  const call = caller(child, `the ${name}`)
  return { call, child, stop: () => child.kill('SIGKILL') }
}

/** A path that nobody else has, in a folder that goes with this suite. */
export const temporary = (name) => join(folder, name)

export function stopAll() {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

export class Target {
  #program
  #bystander
  #token
  static async start({ options = {}, seed, exec, token, watcher = 'odd', pauseMs = 1, giant = false }) {
    const target = new Target()
    target.limits = { maxOperationBytes: 2 ** 30, drainBytes: 1 << 20, ...LIMITS, ...options }
    target.#program = program('target', exec)
    target.call = target.#program.call
    target.#token = token
    const path = join(folder, `file-${files++}`)
    Object.assign(target, await target.call('listen', { options: { ...LIMITS, ...options }, path, seed }))
    for (const region of target.regions) region.bytes = contentOf(seed, region)
    if (giant) target.giant = await target.#map('giant', 2 ** 30)
    await target.#watch(watcher, pauseMs)
    return target
  }

  /** A sparse file, all zeros: as many bytes as one likes, and no memory until they are read. */
  async #map(name, length) {
    const path = join(folder, name)
    writeFileSync(path, '')
    truncateSync(path, length)
    const made = await this.call('map', { name, path, access: 'read' })
    rmSync(path)
    return made
  }

  region(name) {
    return this.regions.find((region) => region.name === name)
  }

  async #watch(name, pauseMs) {
    this.#bystander = program('bystander')
    await this.#bystander.call('start', { port: this.port, token: this.#token })
    await this.bystander(name, pauseMs)
    await this.#bystander.call('look')
  }

  /** Has the good client read the beginning of a region in a loop. */
  async bystander(name, pauseMs, length) {
    const { address, bytes } = this.region(name)
    await this.#bystander.call('read', { address, expected: bytes.subarray(0, length), pauseMs })
  }

  mark() {
    return this.#bystander.call('mark')
  }

  /** Bytes of its regions, which are resident. */
  get regionBytes() {
    return this.regions.reduce((sum, { length }) => sum + length, 0)
  }

  /** Milliseconds of each read of the good client since the last mark. */
  latencies() {
    return this.#bystander.call('look')
  }

  stopReading() {
    return this.#bystander.call('stop')
  }

  /** Waits until the target's statistics are so; fails when they are not in time. */
  async until(satisfied, deadlineMs) {
    const deadline = performance.now() + deadlineMs
    for (;;) {
      const stats = await this.call('stats')
      if (satisfied(stats)) return stats
      if (performance.now() > deadline) throw new Error(`not within ${Math.round(deadlineMs)} ms: ${JSON.stringify(stats.connections)}`)
      await sleep(2)
    }
  }

  stop() {
    this.#bystander?.stop()
    this.#program.stop()
  }

  /** An honest client of each wire is served. */
  async serves() {
    const { address, bytes } = this.region('odd')
    const expected = bytes.subarray(7, 71)
    const same = (heard) => {
      if (!heard.equals(expected)) throw new Error('the next client got other bytes than the region holds')
    }
    const options = { from: HONEST }
    const lane = this.#token === undefined ? await native(this.port, {}, options) : await authenticated(this.port, this.#token, options)
    lane.write(Buffer.concat([ping(), read(address + 7, 64)]))
    await lane.status(0, 0)
    await lane.status(1, 0)
    same(await lane.take(64))
    lane.end()
    await lane.ends()
    if (this.#token !== undefined) return
    const old = await legacy(this.port, options)
    old.write(read(address + 7, 64))
    same(await old.take(64))
    old.end()
    await old.ends()
  }

  /**
   * Runs an attack and looks at all that it must leave behind. `attack` is given a way to open connections and says what came back;
   * `counters` are those that have to move, by exactly so many: no other may.
   */
  async attacked({ attack, counters = {}, afterMs = 0, memory = GROWTH_BYTES, undisturbedMs = DEADLINE_MS }) {
    const [before] = await Promise.all([this.call('look'), this.#bystander.call('mark')])
    this.connections = before.open
    const connections = []
    const opening = {
      native: async (fields, options) => remember(await native(this.port, fields, options)),
      open: async (options) => remember(await Connection.open(this.port, options)),
      applied: [],
      undefinedRanges: [],
    }
    const remember = (connection) => {
      connections.push(connection)
      return connection
    }
    const started = performance.now()
    const came = await inTime(attack(opening)).finally(() => connections.forEach((connection) => connection.destroy()))
    const ms = performance.now() - started
    if (connections.some(({ leaked }) => leaked)) throw new Error(`bytes came out that nobody may read (${CANARY})`)
    await this.serves()
    const moving = typeof counters === 'function' ? counters() : counters
    const expected = Object.fromEntries(Object.entries(moving).map(([name, count]) => [name, before.counters[name] + count]))
    const { applied, undefinedRanges } = opening
    const patienceMs = DEADLINE_MS + afterMs
    const after = await this.call('settle', { expected, patienceMs, sockets: before.sockets, applied, undefinedRanges })
    const wrong = after.differences.map((difference) => `memory: ${difference}`)
    for (const [name, count] of Object.entries(after.counters)) {
      const moved = count - before.counters[name]
      if (moved !== (moving[name] ?? 0)) wrong.push(`${name} moved by ${moved}, not by ${moving[name] ?? 0}`)
    }
    if (after.sockets > before.sockets) wrong.push(`${after.sockets} sockets, not ${before.sockets}`)
    if (after.open !== before.open) wrong.push(`${after.open} connections, not ${before.open}`)
    const grown = Math.max(after.highest - before.resident, 0)
    if (grown > memory) wrong.push(`resident memory grew by ${grown >> 10} KiB`)
    const latencies = await this.latencies()
    const slowest = Math.max(...latencies)
    if (slowest > undisturbedMs) wrong.push(`another client's read took ${Math.round(slowest)} ms`)
    if (wrong.length > 0) throw new Error(`${wrong.join('; ')} (came back: ${came})`)
    return { came, ms, grown, reads: latencies.length, slowest, counters: moving }
  }
}

async function inTime(attack) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`hangs: nothing after ${WATCHDOG_MS} ms`)), WATCHDOG_MS)
  })
  return Promise.race([attack, late]).finally(() => clearTimeout(timer))
}
