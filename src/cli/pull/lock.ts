import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { resolve } from 'node:path'
import { CliError } from '../failure.js'
import { harmless } from '../screen.js'

/**
 * Sees to it that two pulls do not write the same files at once. The system takes it away with the process, however that ends;
 * only Linux has such names, elsewhere nothing is locked.
 */
export async function lock(path: string): Promise<Server | undefined> {
  if (process.platform !== 'linux') return undefined
  const name = `\0memlane-pull-${createHash('sha256').update(resolve(path)).digest('hex').slice(0, 32)}`
  const server = createServer((socket) => socket.destroy())
  server.unref()
  await new Promise<void>((done, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      failed(error.code === 'EADDRINUSE' ? new CliError(`another memlane pull is writing to ${harmless(path)}: wait for it, or end it`, { code: 'ERR_BUSY' }) : error)
    })
    server.listen(name, done)
  })
  return server
}
