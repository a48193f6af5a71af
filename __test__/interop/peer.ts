import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { ROOT } from './environment'

/** One entry of a batch, by region names. */
export interface Assignment {
  local: string
  remote: string
  remoteOffset: number
  localOffset: number
  length: number
}

/** Endpoint info as it crosses between the two: what JSON keeps of it. */
export type Info = { host: string; port: number; mr_info: Record<string, { addr: number; length: number }> } & Record<string, unknown>

/** The wheel's status of an operation: 0 done, negative failed, null not yet. */
export type Status = number | null

/** Names an operation of the wheel that was started. */
export type Started = number & { readonly started: unique symbol }

const ANSWER_DEADLINE_MS = 60_000
const SETTLE_SECONDS = 20

/** One `TcpEndpoint` of the wheel, in a process of its own (its waits hold the interpreter lock). */
export class WheelPeer {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  #next = 0
  #stderr = ''

  constructor(python: string) {
    this.#child = spawn(python, [join(ROOT, '__test__', 'interop', 'peer.py')], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.pid = this.#child.pid!
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#stderr = (this.#stderr + text).slice(-4096)))
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#settle(JSON.parse(line)))
    this.#child.stdin!.on('error', () => {})
    this.#child.once('exit', (code, signal) => this.#failAll(`the wheel's process ended (${signal ?? code}): ${this.#stderr}`))
    this.#child.once('error', (error) => this.#failAll(`the wheel's process did not start: ${error.message}`))
  }

  /** What the wheel printed, for a failing test's log. */
  get output(): string {
    return this.#stderr
  }

  listen(): Promise<Info> {
    return this.call('listen', { host: '127.0.0.1', port: 0 })
  }

  info(): Promise<Info> {
    return this.call('info')
  }

  region(name: string, length: number): Promise<number> {
    return this.call('region', { name, length })
  }

  fill(name: string, seed: string, length: number, offset = 0): Promise<void> {
    return this.call('fill', { name, seed, offset, length })
  }

  sha256(name: string, offset: number, length: number): Promise<string> {
    return this.call('sha256', { name, offset, length })
  }

  /** Whether the guard bytes around every region are as they were. */
  intact(): Promise<boolean> {
    return this.call('intact')
  }

  /** The wheel dials once, to see that somebody is there, and learns the regions of `info`. */
  connect(info: unknown): Promise<boolean> {
    return this.call('connect', { info })
  }

  read(assignments: Assignment[], options: { timeoutMs?: number } = {}): Promise<Started> {
    return this.call('read', { assignments, ...options })
  }

  write(assignments: Assignment[], options: { timeoutMs?: number } = {}): Promise<Started> {
    return this.call('write', { assignments, ...options })
  }

  send(name: string, offset: number, length: number, options: { timeoutMs?: number } = {}): Promise<Started> {
    return this.call('send', { name, offset, length, ...options })
  }

  recv(name: string, offset: number, length: number, options: { exactSize?: boolean } = {}): Promise<Started> {
    return this.call('recv', { name, offset, length, ...options })
  }

  /** The status once it is there, null after `seconds`. Does not spin, which the wheel's own waits do. */
  settle(future: Started, seconds = SETTLE_SECONDS): Promise<Status> {
    return this.call('settle', { future, seconds })
  }

  /** The wheel's `wait_for`. */
  waitFor(future: Started, seconds: number): Promise<Status> {
    return this.call('wait_for', { future, seconds })
  }

  /** The wheel's `wait`, which nothing but its process's end can interrupt. */
  wait(future: Started): Promise<number> {
    return this.call('wait', { future })
  }

  /** Ends the process, by force when it does not leave by itself. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const left = once(this.#child, 'exit')
    this.#child.stdin!.end('{"op":"quit"}\n')
    const stubborn = AbortSignal.timeout(2_000)
    stubborn.addEventListener('abort', () => this.#child.kill('SIGKILL'))
    await left
  }

  /** Ends the process at once, as a crash would. */
  async crash(): Promise<void> {
    const left = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await left
  }

  /** Halts the process: its kernel still accepts connections and bytes, up to its buffers. */
  async suspend(): Promise<void> {
    this.#child.kill('SIGSTOP')
    // A signal sent is not one taken: until then its threads still answer.
    const state = () => readFileSync(`/proc/${this.pid}/stat`, 'latin1').replace(/^.*\) /, '')[0]
    if ((await eventually(state, (letter) => letter === 'T')) !== 'T') throw new Error('the wheel does not halt')
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  private call<T>(op: string, fields: object = {}): Promise<T> {
    const id = this.#next++
    return new Promise<T>((resolve, reject) => {
      const late = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Error(`the wheel's process did not answer "${op}" in ${ANSWER_DEADLINE_MS} ms`))
      }, ANSWER_DEADLINE_MS)
      this.#waiting.set(id, {
        resolve: (value: T) => (clearTimeout(late), resolve(value)),
        reject: (error) => (clearTimeout(late), reject(error)),
      })
      this.#child.stdin!.write(`${JSON.stringify({ id, op, ...fields })}\n`)
    })
  }

  #settle(answer: { id: number; ok?: unknown; error?: string }): void {
    const waiter = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (answer.error === undefined) waiter?.resolve(answer.ok as never)
    else waiter?.reject(new Error(answer.error))
  }

  #failAll(text: string): void {
    for (const waiter of this.#waiting.values()) waiter.reject(new Error(text))
    this.#waiting.clear()
  }
}

/** Asks until the answer satisfies, at most for five seconds; the last answer either way. For effects that nobody acknowledges. */
export async function eventually<T>(ask: () => Promise<T> | T, satisfies: (answer: T) => boolean): Promise<T> {
  for (const deadline = Date.now() + 5_000; ; await delay(5)) {
    const answer = await ask()
    if (satisfies(answer) || Date.now() > deadline) return answer
  }
}
