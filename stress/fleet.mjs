import { fork } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { Post } from './post.mjs'

const DIAGNOSIS_MS = 3000

/** One process of a run as its parent sees it. */
class Member {
  #child
  #waiting = new Map()
  #told = new Map()
  /** What it said last of its operations. */
  summary = { counts: {}, pending: 0, failures: [], failed: 0 }
  /** Why it has ended before its time, in words. */
  #gone

  constructor({ seed, number, processes, settings, post }, onEnd) {
    this.number = number
    this.#child = fork(new URL('./process.mjs', import.meta.url), [...[seed, number, processes].map(String), JSON.stringify(settings)], {
      execArgv: ['--expose-gc'],
      // Large blocks go back to the system when they are freed, so that what is resident at the end says something.
      env: { ...process.env, MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child.on('message', (message) => {
      for (const [topic, value] of Object.entries(message)) {
        if (topic === 'progress' || topic === 'done' || topic === 'broken') this.summary = value
        if (value.sent !== undefined) post.take(value)
        this.#told.set(topic, value)
        this.#waiting.get(topic)?.(value)
      }
      if (message.broken !== undefined) onEnd(`process ${number} broke`)
    })
    this.#child.once('exit', (code, signal) => {
      this.#gone = `process ${number} ended (${signal ?? `exit code ${code}`})`
      if (!this.#told.has('done')) onEnd(this.#gone)
    })
  }

  get pid() {
    return this.#child.pid
  }

  command(command, more = {}) {
    if (this.#child.connected) this.#child.send({ command, ...more })
  }

  /** What it says of `topic` when it is asked now. */
  ask(command, topic) {
    this.#told.delete(topic)
    this.command(command)
    return this.hear(topic)
  }

  /** What it says of `topic`, now or later. */
  hear(topic) {
    if (this.#told.has(topic)) return Promise.resolve(this.#told.get(topic))
    return new Promise((resolve) => this.#waiting.set(topic, resolve))
  }

  /** What it is waiting for, or what its threads do when it does not say. */
  async diagnose() {
    if (this.#gone !== undefined) return [this.#gone]
    this.command('diagnose')
    const silent = new Promise((resolve) => setTimeout(resolve, DIAGNOSIS_MS).unref())
    const diagnosis = await Promise.race([this.hear('diagnosis'), silent])
    const threads = this.#threads()
    if (diagnosis === undefined) return [`process ${this.number} does not answer, its event loop hangs; ${threads}`]
    this.summary = { ...diagnosis, pending: diagnosis.pending.length }
    const pending = diagnosis.pending.map((operation) => `process ${this.number} waits: ${operation}`)
    return [...pending, `process ${this.number}: ${pending.length} operations pending; ${threads}`]
  }

  #threads() {
    try {
      const states = readdirSync(`/proc/${this.pid}/task`).map((task) => {
        const [, name, state] = /\((.*)\) (\S)/.exec(readFileSync(`/proc/${this.pid}/task/${task}/stat`, 'latin1'))
        return `${name} ${state}`
      })
      return `threads: ${states.join(', ')}`
    } catch {
      return 'it has gone'
    }
  }

  async end() {
    if (this.#gone !== undefined) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.command('leave')
    const stubborn = setTimeout(() => this.#child.kill('SIGKILL'), DIAGNOSIS_MS)
    await ended
    clearTimeout(stubborn)
  }
}

/** All processes of a run, from their start to their end. */
export class Fleet {
  #members
  #broken
  #lost

  /** What was sent and not received, of all processes. */
  post = new Post()

  /** @param settings what a soak adds; `process.mjs` says what there is */
  constructor(seed, processes, settings = {}) {
    this.#broken = new Promise((_, reject) => {
      this.#lost = (why) => reject(new Error(why))
    })
    // It is looked at whenever somebody waits for a member.
    this.#broken.catch(() => undefined)
    const { post } = this
    this.#members = Array.from({ length: processes }, (_, number) => new Member({ seed, number, processes, settings, post }, (why) => this.#lost(why)))
  }

  /** Rejects when a process breaks. */
  get lost() {
    return this.#broken
  }

  /** What each has of the system now; undefined of one that does not say. */
  measure(milliseconds) {
    const late = new Promise((resolve) => setTimeout(resolve, milliseconds).unref())
    return Promise.all(this.#members.map((member) => Promise.race([late, member.ask('measure', 'measured')])))
  }

  get pids() {
    return this.#members.map(({ pid }) => pid)
  }

  get summaries() {
    return this.#members.map(({ summary }) => summary)
  }

  tell(command, more) {
    for (const member of this.#members) member.command(command, more)
  }

  tellOne(number, command, more) {
    this.#members[number].command(command, more)
  }

  /** What all of them say of `topic`; rejects when one of them breaks, or one has not said it in `milliseconds`. */
  async hear(topic, milliseconds) {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not every process was ${topic} in ${milliseconds / 1000} seconds`)), milliseconds)
    })
    try {
      return await Promise.race([this.#broken, late, Promise.all(this.#members.map((member) => member.hear(topic)))])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Resolves after so many milliseconds; rejects when a process breaks meanwhile. */
  async last(milliseconds) {
    let timer
    const time = new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))
    await Promise.race([this.#broken, time]).finally(() => clearTimeout(timer))
  }

  async diagnose() {
    return (await Promise.all(this.#members.map((member) => member.diagnose()))).flat()
  }

  async end() {
    this.#lost('the run is over')
    await Promise.all(this.#members.map((member) => member.end()))
  }
}
