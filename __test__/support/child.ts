import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'

export type Message = Record<string, unknown>

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  output: string
}

/** A process that runs one of the programs in this folder, and is gone when the test ends. */
export class Child {
  readonly #process: ChildProcess
  readonly #messages: Message[] = []
  readonly #waiting: { resolve(message: Message): void; reject(error: Error): void }[] = []
  #output = ''
  #over = false
  /** How it ended. */
  readonly ended: Promise<Exit>

  private constructor(program: string, args: string[], env: NodeJS.ProcessEnv) {
    const file = join(__dirname, `child-${program}.js`)
    this.#process = fork(file, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
      execArgv: ['--expose-gc', '--enable-source-maps'],
    })
    const collect = (text: Buffer) => {
      this.#output += text.toString()
    }
    this.#process.stdout?.on('data', collect)
    this.#process.stderr?.on('data', collect)
    this.#process.on('message', (message: Message) => {
      const waiter = this.#waiting.shift()
      if (waiter === undefined) this.#messages.push(message)
      else waiter.resolve(message)
    })
    this.ended = once(this.#process, 'close').then(([code, signal]) => {
      const exit = { code: code as number | null, signal: signal as NodeJS.Signals | null, output: this.#output }
      this.#over = true
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${program} ended: ${JSON.stringify(exit)}`))
      return exit
    })
  }

  static start(t: ExecutionContext, program: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Child {
    const child = new Child(program, args, env)
    t.teardown(() => child.kill())
    return child
  }

  get pid(): number {
    return this.#process.pid as number
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  send(message: Message): void {
    this.#process.send(message)
  }

  /** The next message that it sends; rejects when it ends before. */
  async next<T extends Message = Message>(): Promise<T> {
    const message = this.#messages.shift()
    if (message !== undefined) return message as T
    if (this.#over) throw new Error(`the child ended: ${this.#output}`)
    return new Promise<Message>((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
    }) as Promise<T>
  }

  /** Sends a signal to it alone. */
  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  async kill(): Promise<void> {
    if (this.running) this.#process.kill('SIGKILL')
    await this.ended
  }
}
