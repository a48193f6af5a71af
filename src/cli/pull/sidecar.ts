import { constants } from 'node:fs'
import { open, rename, rm, writeFile } from 'node:fs/promises'

const MAX_BYTES = 65_536

/** What is known of a file that is not whole yet. It lies beside it. */
export interface Progress {
  /** Which items in which places, and what they were known by at the peer. */
  key: string
  identity: string
  /** So many bytes from its beginning are there. */
  done: number
}

const pathOf = (part: string): string => `${part}.json`

/** What was noted about a part; nothing where there is none, or none that makes sense. */
export async function readProgress(part: string): Promise<Progress | undefined> {
  try {
    const { memlane, key, identity, done } = JSON.parse(await noteOf(part)) as Partial<Progress> & { memlane?: unknown }
    return memlane === 'pull 1' && typeof key === 'string' && typeof identity === 'string' && Number.isSafeInteger(done) ? { key, identity, done: done as number } : undefined
  } catch {
    return undefined
  }
}

/** Its text; nobody waits for a pipe that has the name of a note, nor reads a note that no pull has made. */
async function noteOf(part: string): Promise<string> {
  const handle = await open(pathOf(part), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const about = await handle.stat()
    return about.isFile() && about.size <= MAX_BYTES ? await handle.readFile('utf8') : ''
  } finally {
    await handle.close()
  }
}

/** Notes it, so that at any moment there is a whole note, the old or the new. */
export async function writeProgress(part: string, progress: Progress, from: string): Promise<void> {
  const next = `${pathOf(part)}.new`
  try {
    // What lies there under that name is an old one, or a link to a file that is not ours.
    await rm(next, { force: true })
    await writeFile(next, `${JSON.stringify({ memlane: 'pull 1', from, ...progress })}\n`, { flag: 'wx' })
    await rename(next, pathOf(part))
  } catch (error) {
    // Where the disk is full, what it has got is no note.
    await rm(next, { force: true })
    throw error
  }
}

export async function removeProgress(part: string): Promise<void> {
  await rm(pathOf(part), { force: true })
  await rm(`${pathOf(part)}.new`, { force: true })
}
