import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test, { type ExecutionContext } from 'ava'
import { type Client, CLIENTS } from './redis-clients'

const PORT_ATTEMPTS = 5

/** Runs a server until the standard input ends, which it does with this process, however that ends. */
const SCRIPT = `exec 3<&0
redis-server "$@" 3<&- &
server=$!
{ cat <&3; kill -9 $server; } >/dev/null 2>&1 &
exec 3<&-
wait $server`

/** Why there is no server here; undefined when there is one. */
const missing = ((): string | undefined => {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'redis-server is not installed'
  }
})()
let announced = false

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A Redis server of this test's own on the loopback, which keeps nothing. */
export class RedisServer {
  readonly port: number
  readonly #process: ChildProcess
  readonly #folder: string

  private constructor(port: number, process: ChildProcess, folder: string) {
    this.port = port
    this.#process = process
    this.#folder = folder
  }

  /** A server on `port`, or on one that is free; it is gone when the test ends. */
  static async start(t: ExecutionContext, port?: number): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const server = await RedisServer.#launch(port ?? (await freePort()))
      if (server !== undefined) {
        t.teardown(() => server.stop())
        return server
      }
      // Between the look for a free port and its use somebody else may take it.
      if (port !== undefined || attempt === PORT_ATTEMPTS) throw new Error('redis-server does not start')
    }
  }

  static async #launch(port: number): Promise<RedisServer | undefined> {
    const folder = mkdtempSync(join(tmpdir(), 'memlane-redis-'))
    const options = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder]
    const process = spawn('sh', ['-c', SCRIPT, 'sh', ...options], { stdio: ['pipe', 'pipe', 'ignore'] })
    for await (const line of createInterface({ input: process.stdout! })) {
      if (!line.includes('Ready to accept connections')) continue
      process.stdout?.resume()
      return new RedisServer(port, process, folder)
    }
    process.stdin?.end()
    rmSync(folder, { recursive: true, force: true })
    return undefined
  }

  /** Ends it, as a machine ends that loses its power. */
  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.stdin?.end()
      await once(this.#process, 'exit')
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export interface Rig {
  server: RedisServer
  /** The name of the library under test. */
  kind: keyof typeof CLIENTS
  /** A client of it. */
  redis: Client
  /** Another one. */
  connect(): Promise<Client>
}

/**
 * A test with each client against a server of its own. Where there is none it says so and passes, unless `MEMLANE_REDIS=required`,
 * which makes that a failure.
 */
export function withRedis(title: string, body: (t: ExecutionContext, rig: Rig) => Promise<void>): void {
  for (const kind of Object.keys(CLIENTS) as (keyof typeof CLIENTS)[]) {
    test(`${kind}: ${title}`, async (t) => {
      if (missing !== undefined) {
        if (!announced) console.warn(`skipped: ${missing}`)
        announced = true
        t.log(`skipped: ${missing}`)
        if (process.env.MEMLANE_REDIS === 'required') t.fail(missing)
        else t.pass()
        return
      }
      const server = await RedisServer.start(t)
      const connect = async () => {
        const made = await CLIENTS[kind](server.port)
        t.teardown(() => made.close())
        return made
      }
      await body(t, { server, kind, redis: await connect(), connect })
    })
  }
}

const PATIENCE_MS = 20_000

/** Asks until the answer is true. */
export async function eventually(what: string, ask: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come to be`)
    await new Promise((resolve) => {
      setTimeout(resolve, 10)
    })
  }
}
