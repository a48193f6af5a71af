import test, { type ExecutionContext } from 'ava'
import { type Client, CLIENTS } from './redis-clients'
import { script } from './script'

interface Server {
  readonly port: number
  /** Ends it, as a machine ends that loses its power. */
  stop(): Promise<void>
}

interface Starter {
  missingRedis(): string | undefined
  startRedis(port?: number): Promise<Server>
}

const starter = script<Starter>('redis-server.mjs')
/** Why there is no server here; undefined when there is one. */
const absence = starter.then(({ missingRedis }) => missingRedis())
let announced = false

/** A Redis server of this test's own on the loopback, which keeps nothing. */
export class RedisServer implements Server {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  /** A server on `port`, or on one that is free; it is gone when the test ends. */
  static async start(t: ExecutionContext, port?: number): Promise<RedisServer> {
    const { startRedis } = await starter
    const server = new RedisServer(await startRedis(port))
    t.teardown(() => server.stop())
    return server
  }

  get port(): number {
    return this.#server.port
  }

  stop(): Promise<void> {
    return this.#server.stop()
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
      const missing = await absence
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
