import { clearTimeout, setTimeout } from 'node:timers'
import { DEFAULT_TIMEOUT_MS, shown, typeError } from './arguments.js'
import { directoryError, type Announcement, type Directory } from './directory.js'
import { closedError, MemlaneError } from './errors.js'
import type { Lifetime } from './lifetime.js'
import type { EndpointInfo } from './options.js'

/** Longest time that a directory holds up an endpoint that closes. What it did not hear of expires there. */
const WITHDRAWAL_MS = 1000

/** The result of `promise`, or of `late` when it is not there in time. */
async function within<T>(milliseconds: number, promise: Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<T>((resolve, reject) => {
    timer = setTimeout(() => {
      try {
        resolve(late())
      } catch (error) {
        reject(error as Error)
      }
    }, milliseconds)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}

async function withdraw(announcement: Announcement): Promise<void> {
  try {
    await within(WITHDRAWAL_MS, announcement.close(), () => undefined)
  } catch {
    // The endpoint closes all the same, and the name expires.
  }
}

/** What a directory's `announce` resolved with, if that is an announcement. */
function checkAnnouncement(value: unknown): Announcement {
  const { lost, close } = (value ?? {}) as { lost?: Partial<PromiseLike<void>> | null; close?: unknown }
  if (typeof lost?.then === 'function' && typeof close === 'function') return value as Announcement
  throw typeError('what its announce() resolved with', 'an Announcement, which has lost and close()', value)
}

/**
 * Announces an endpoint under `name`. The first thing that its close does is to withdraw that.
 *
 * Fails with `ERR_DIRECTORY`, with `ERR_TIMEOUT` when the directory says nothing, and with `ERR_CLOSED` when the endpoint was
 * closed meanwhile.
 */
export async function announce(owner: Lifetime, directory: Directory, name: string, info: EndpointInfo): Promise<Announcement> {
  let abandoned = false
  const announcing = (async () => {
    const announcement = await directory.announce(name, info)
    if (abandoned) await withdraw(announcement)
    return checkAnnouncement(announcement)
  })()
  let announcement: Announcement
  try {
    announcement = await within(DEFAULT_TIMEOUT_MS, announcing, () => {
      abandoned = true
      throw new MemlaneError(`announce ${shown(name)}: the directory did not answer within ${DEFAULT_TIMEOUT_MS} ms`, {
        code: 'ERR_TIMEOUT',
        origin: 'local',
        retryable: true,
        operation: 'announce',
      })
    })
  } catch (cause) {
    throw directoryError('announce', name, cause)
  }
  if (owner.closed) {
    await withdraw(announcement)
    throw closedError('endpoint')
  }
  owner.first(() => withdraw(announcement))
  return announcement
}
