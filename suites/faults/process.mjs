import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

/** A process that runs `party.mjs`, as whoever tests it sees it. */
export class Party {
  #child
  #waiting = new Map()
  #next = 0
  #wanted = false

  /** @param what its part, for messages */
  constructor(what) {
    this.what = what
    this.#child = fork(new URL('./party.mjs', import.meta.url), { execArgv: ['--expose-gc'] })
    this.#child.on('message', ({ id, ok, error, code }) => {
      const { resolve, reject } = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) resolve(ok)
      else reject(Object.assign(new Error(error), { code }))
    })
    this.#child.once('exit', (code, signal) => {
      this.gone = `${what} ended: ${signal ?? `exit code ${code}`}`
      if (!this.#wanted) console.error(this.gone)
      for (const { reject } of this.#waiting.values()) reject(new Error(this.gone))
      this.#waiting.clear()
    })
  }

  get pid() {
    return this.#child.pid
  }

  ask(op, given = {}) {
    if (this.gone !== undefined) return Promise.reject(new Error(this.gone))
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, op, ...given })
    })
  }

  /** Stands still: resolves when each of its threads does. */
  async stop() {
    this.#child.kill('SIGSTOP')
    while (this.states().some((state) => state !== 'T')) await new Promise(setImmediate)
  }

  goOn() {
    this.#child.kill('SIGCONT')
  }

  states() {
    return readdirSync(`/proc/${this.pid}/task`).map((task) => /\) (\S)/.exec(readFileSync(`/proc/${this.pid}/task/${task}/stat`, 'latin1'))[1])
  }

  /** Seconds that it has had of a core. */
  processor() {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  }

  async kill() {
    this.#wanted = true
    if (this.gone !== undefined) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

/** Resolves to what `ask` gives once `good` says so of it, or to the last of it when the time is over. */
export async function until(ask, good, milliseconds) {
  const deadline = performance.now() + milliseconds
  for (;;) {
    const answer = await ask()
    if (good(answer) || performance.now() > deadline) return answer
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
