import { constants } from 'node:fs'
import { open, stat, statfs } from 'node:fs/promises'
import { CliError } from '../failure.js'
import type { Hasher } from '../hashing/hasher.js'
import { harmless } from '../screen.js'
import { sizeText } from '../units.js'
import type { Outcome } from './part.js'
import type { Plan } from './plan.js'
import type { Source } from './source.js'

/** What is there already, as it should be; one that is there otherwise is refused, before anything is pulled. Nothing but a folder hinders who forces it. */
export async function alreadyThere(plan: Plan, source: Source, hasher: Hasher | undefined, isForced: boolean): Promise<Outcome[] | undefined> {
  const about = await stat(plan.path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (about === undefined) return undefined
  if (about.isDirectory()) throw new CliError(`${harmless(plan.path)}: is a folder`)
  if (isForced) return undefined
  if (!about.isFile()) throw new CliError(`${harmless(plan.path)} is there already, and is no file: --force replaces it`, { code: 'ERR_EXISTS' })
  const outcomes = about.size === plan.bytes && source.isVerifying && hasher !== undefined ? await same(plan, source, hasher) : undefined
  if (outcomes === undefined) throw new CliError(`${harmless(plan.path)} is there already, ${source.isVerifying ? 'with other bytes' : 'and nothing tells whether it is the same'}: --force replaces it`, { code: 'ERR_EXISTS' })
  return outcomes
}

async function same(plan: Plan, source: Source, hasher: Hasher): Promise<Outcome[] | undefined> {
  const handle = await open(plan.path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const head = Buffer.alloc(plan.head.length)
    await handle.read(head, 0, head.length, 0)
    if (!head.equals(plan.head)) return undefined
    // Afresh: nothing comes that would tell that a sum is of bytes from before.
    const wanted = await source.sumsOf(plan.extents.map(({ item }) => item), true)
    const outcomes: Outcome[] = []
    for (const { item, at } of plan.extents) {
      const sha256 = (await hasher.of(handle.fd, at, item.bytes)).toString('hex')
      if (item.bytes > 0 && sha256 !== wanted.get(item.name)) return undefined
      outcomes.push({ item, path: plan.path, sha256, verified: true, seconds: 0, resumed: item.bytes })
    }
    return outcomes
  } finally {
    await handle.close()
  }
}

/** Refuses what there is no room for, before it is pulled. */
export async function checkRoom(plans: readonly Plan[], folder: string): Promise<void> {
  const wanted = plans.reduce((sum, { bytes }) => sum + bytes, 0)
  const { bavail, bsize, blocks } = await statfs(folder)
  const there = await Promise.all(plans.slice(0, 1000).map(({ path }) => stat(`${path}.part`).then(({ blocks: used }) => used * 512, () => 0)))
  const free = bavail * bsize + there.reduce((sum, bytes) => sum + bytes, 0)
  // Some file systems do not know how much room they have.
  if (blocks > 0 && wanted > free) throw new CliError(`${harmless(folder)}: the disk is full: ${sizeText(wanted)} are to come, and there is room for ${sizeText(free)}`, { code: 'ENOSPC' })
}
