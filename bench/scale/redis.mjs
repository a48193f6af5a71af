/** A Redis server of this run's own on the loopback, which keeps nothing; null where there is none. */
import { spawn, spawnSync } from 'node:child_process'
import { freePort } from '../support/port.mjs'
import { ended } from '../support/spawn.mjs'

export async function startRedis() {
  if (spawnSync('redis-server', ['--version']).status !== 0) return null
  const port = await freePort()
  const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--daemonize', 'no']
  const server = spawn('redis-server', options.map(String), { stdio: 'ignore' })
  const cli = (...args) => spawnSync('redis-cli', ['-p', String(port), ...args], { encoding: 'utf8' }).stdout
  for (let attempt = 0; cli('ping').trim() !== 'PONG'; attempt++) {
    if (attempt === 100) throw new Error('redis-server does not answer')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    port,
    /** Commands that it has served, but for ours. */
    calls: () => Number(/cmdstat_eval:calls=(\d+)/.exec(cli('info', 'commandstats'))?.[1] ?? 0),
    async stop() {
      server.kill('SIGTERM')
      await ended(server)
    },
  }
}
