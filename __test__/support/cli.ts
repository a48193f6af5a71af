import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'

/** The command line as it is installed: what package.json names as `bin`. */
export const CLI = join(__dirname, '../../../dist/cli.js')

/** How a command ended. */
export interface Ended {
  status: number | null
  stdout: string
  stderr: string
}

/** A command under way, and all that it has said so far. */
export class Running {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  /** When it has ended and all of its output is in. */
  readonly ended: Promise<Ended>
  #more: (() => void)[] = []

  constructor(args: readonly string[], { cwd, env }: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
    const options = { ...(cwd !== undefined && { cwd }), env: { ...process.env, NO_COLOR: '1', ...env } }
    this.child = spawn(process.execPath, [CLI, ...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#heard('stdout', text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#heard('stderr', text))
    this.ended = once(this.child, 'close').then(([status]) => {
      this.#tell()
      return { status: status as number | null, stdout: this.stdout, stderr: this.stderr }
    })
  }

  /** What a pattern finds in the standard output, as soon as it is there; it fails when the command ends without. */
  async said(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this[stream])
      if (found !== null) return found
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`the command ended without ${pattern}: ${this.stdout}${this.stderr}`)
      }
      await new Promise<void>((resolve) => this.#more.push(resolve))
    }
  }

  #heard(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text
    this.#tell()
  }

  #tell(): void {
    for (const resolve of this.#more.splice(0)) resolve()
  }
}

/** Runs a command to its end. */
export function run(...args: string[]): Promise<Ended> {
  return new Running(args).ended
}

/** A command that is ended with its test, if it has not ended by then. */
export function start(t: ExecutionContext, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Running {
  const running = new Running(args, options)
  t.teardown(async () => {
    running.child.kill('SIGKILL')
    await running.ended
  })
  return running
}

/** `memlane serve` with these arguments, once it serves: where, and the process. */
export async function serving(t: ExecutionContext, ...args: string[]): Promise<{ url: string; port: number; running: Running }> {
  const running = start(t, ['serve', ...args])
  const [, url = '', port = ''] = await running.said(/(tcp:\/\/[^\s":]+:(\d+))/)
  return { url, port: Number(port), running }
}
