import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { basename } from 'node:path'
import { CliError } from '../failure.js'
import { harmless } from '../screen.js'

const hashed = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32)

/**
 * Sees to it that two pulls do not write the same files at once: a pull into a folder is alone in it, pulls to single files
 * are beside each other where the files are others. The folder counts, not the path that leads there. The system takes the lock
 * away with the process, however that ends; only Linux has such names, elsewhere nothing is locked.
 */
export async function lock(folder: string, file?: string): Promise<Server | undefined> {
  if (process.platform !== 'linux') return undefined
  const { dev, ino } = await stat(folder, { bigint: true })
  const whole = `memlane-pull-${hashed(`${dev}:${ino}`)}`
  const name = file === undefined ? whole : `${whole}-${hashed(basename(file))}`
  const busy = new CliError(`another memlane pull is writing to ${harmless(file ?? folder)}: wait for it, or end it`, { code: 'ERR_BUSY' })
  const server = createServer((socket) => socket.destroy())
  server.unref()
  await new Promise<void>((done, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) => failed(error.code === 'EADDRINUSE' ? busy : error))
    server.listen(`\0${name}`, done)
  })
  // Own name first, then a look at the others: of two that begin at once, one sees the other.
  const others = (await names()).filter((other) => other !== name)
  if (others.some((other) => (file === undefined ? other.startsWith(`${whole}-`) : other === whole))) {
    server.close()
    throw busy
  }
  return server
}

/** The names of all locks; none where the system does not tell. */
async function names(): Promise<string[]> {
  const text = await readFile('/proc/net/unix', 'utf8').catch(() => '')
  // Node may hand the system zeros behind the name, which are shown as @.
  return [...text.matchAll(/ @(memlane-pull-[0-9a-f-]+)@*$/gm)].map(([, name]) => name as string)
}
