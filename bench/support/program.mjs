/** Programs that are no Node processes: they take a line, answer with a line of JSON, and end with their input. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

import { ended, pinned } from './spawn.mjs'

/** How long one answer may take before the program counts as hung; turns take seconds. */
const PATIENCE_MS = 60_000

export class Program {
  #child
  #lines
  #description
  #failure = null
  #complaints = ''

  /** `command` is a list; the process as a whole is put on the core `cpu` unless that is null. */
  constructor(description, command, { cpu = null, env = {}, quiet = false } = {}) {
    const [program, ...rest] = pinned(command.map(String), cpu)
    this.#description = description
    this.#child = spawn(program, rest, {
      stdio: ['pipe', 'pipe', quiet ? 'pipe' : 'inherit'],
      env: { ...process.env, ...env },
    })
    this.#child.on('error', (error) => (this.#failure = error))
    // Whoever writes to a program that has ended learns it from the answer that does not come.
    this.#child.stdin.on('error', () => {})
    this.#child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.#complaints = (this.#complaints + text).slice(-4096)
    })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  ask(command) {
    this.#child.stdin.write(`${typeof command === 'string' ? command : JSON.stringify(command)}\n`)
    return this.answer()
  }

  /** The next line of JSON. Libraries that log to the standard output are overheard. */
  async answer() {
    const timer = setTimeout(() => {
      this.#failure = new Error(`no answer within ${PATIENCE_MS / 1000} s`)
      this.#child.kill('SIGKILL')
    }, PATIENCE_MS)
    try {
      for (;;) {
        const { value, done } = await this.#lines.next()
        if (done) throw new Error(`${this.#description} ended: ${await this.#reason()}`)
        if (!value.startsWith('{')) continue
        const answer = JSON.parse(value)
        if (answer.failure !== undefined) throw new Error(`${this.#description}: ${answer.failure}`)
        return answer
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Holds the whole process until `resume`: what spins while nobody asks takes time from those whose turn it is. */
  pause() {
    this.#child.kill('SIGSTOP')
  }

  resume() {
    this.#child.kill('SIGCONT')
  }

  stop() {
    this.resume()
    this.#child.stdin.end()
    return this.#child.pid === undefined ? undefined : ended(this.#child)
  }

  async #reason() {
    if (this.#child.pid !== undefined) await ended(this.#child)
    if (this.#failure !== null) return this.#failure.message
    const last = this.#complaints.trim().split('\n').at(-1)
    return last || (this.#child.signalCode ?? `status ${this.#child.exitCode}`)
  }
}
