/**
 * Calls from one process into another over Node's own channel. They steer a measurement and report its result; nothing of what is
 * measured passes here, but for the transport that is this very channel.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** How long a forked process has to end by itself. */
const PATIENCE_MS = 2000

interface Reply {
  reply?: number
  value?: unknown
  failure?: string
}

/** Answers the calls of the process that forked this one. */
export function answerCalls(handlers: Readonly<Record<string, (argument: never) => unknown>>): void {
  process.on('message', async ({ call, id, argument }: { call?: string; id: number; argument: never }) => {
    if (call === undefined) return
    let reply: Reply
    try {
      reply = { reply: id, value: await handlers[call]?.(argument) }
    } catch (error) {
      reply = { reply: id, failure: error instanceof Error ? error.message : String(error) }
    }
    // Whoever asked may have ended meanwhile, and then nobody misses the answer.
    if (process.connected) process.send?.(reply, undefined, undefined, () => {})
  })
}

/** Calls a forked process; they fail when it ends. */
export class Caller {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  #sequence = 0
  #gone: Error | undefined = undefined

  constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', ({ reply, value, failure }: Reply) => {
      const call = reply === undefined ? undefined : this.#waiting.get(reply)
      if (call === undefined) return
      this.#waiting.delete(reply as number)
      if (failure === undefined) call.resolve(value as never)
      else call.reject(new Error(failure))
    })
    child.on('error', (error) => this.#fail(`does not start: ${error.message}`))
    child.on('exit', (status, signal) => this.#fail(`has ended with ${signal ?? `status ${status}`}`))
  }

  call<T = void>(name: string, argument?: unknown): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#gone !== undefined) {
        reject(this.#gone)
        return
      }
      const id = ++this.#sequence
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ call: name, id, argument }, (error) => {
        if (error !== null) this.#fail(`cannot be reached: ${error.message}`)
      })
    })
  }

  #fail(why: string): void {
    this.#gone ??= new Error(`the target process ${why}`)
    for (const { reject } of this.#waiting.values()) reject(this.#gone)
    this.#waiting.clear()
  }
}

/** Lets a forked process go, and ends it by force if it does not. */
export async function letGo(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const left = once(child, 'exit')
  if (child.connected) child.disconnect()
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  await left
  clearTimeout(timer)
}
