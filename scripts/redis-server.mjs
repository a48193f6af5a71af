/** A `redis-server` of one's own for tests and examples, on the loopback, which keeps nothing. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const PORT_ATTEMPTS = 5

/** Runs a server until the standard input ends, which it does with this process, however that ends. */
const SCRIPT = `exec 3<&0
redis-server "$@" 3<&- &
server=$!
{ cat <&3; kill -9 $server; } >/dev/null 2>&1 &
exec 3<&-
wait $server`

/** Why there is no server here; undefined when there is one. */
export function missingRedis() {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'redis-server is not installed'
  }
}

/** A server on `port`, or on one that is free: its `port`, and `stop()`, which ends it as a machine ends that loses its power. */
export async function startRedis(port) {
  for (let attempt = 1; ; attempt++) {
    const server = await launch(port ?? (await freePort()))
    if (server !== undefined) return server
    // Between the look for a free port and its use somebody else may take it.
    if (port !== undefined || attempt === PORT_ATTEMPTS) throw new Error('redis-server does not start')
  }
}

async function launch(port) {
  const folder = mkdtempSync(join(tmpdir(), 'memlane-redis-'))
  const options = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder]
  const child = spawn('sh', ['-c', SCRIPT, 'sh', ...options], { stdio: ['pipe', 'pipe', 'ignore'] })
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.includes('Ready to accept connections')) continue
    child.stdout.resume()
    return {
      port,
      async stop() {
        if (child.exitCode === null && child.signalCode === null) {
          child.stdin.end()
          await once(child, 'exit')
        }
        rmSync(folder, { recursive: true, force: true })
      },
    }
  }
  child.stdin.end()
  rmSync(folder, { recursive: true, force: true })
  return undefined
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
