import { checkName } from './arguments.js'
import { attached } from './completions.js'
import { entryText, type Announcement, type Directory } from './directory.js'
import { native } from './native.js'
import type { EndpointInfo, PeerInfo } from './options.js'
import { Renewal } from './renewal.js'

/** How often an announcement looks whether another one has taken its name. */
const LOOK_EVERY_MS = 1000

/**
 * The process's own directory, which all of its threads share: the default of `listen`.
 *
 * Names of a worker that ends go with it. An announcement that lost its name notices within a second or so.
 */
export const processDirectory: Directory = {
  // oxlint-disable-next-line require-await -- what is wrong with the arguments rejects, as it does with every directory
  async announce(name: string, info: EndpointInfo): Promise<Announcement> {
    const number = native.announce(attached(), checkName(name), entryText(info))
    return new Renewal(name, LOOK_EVERY_MS, {
      renew: () => Promise.resolve(native.isAnnounced(attached(), number)),
      withdraw: () => Promise.resolve(native.withdraw(attached(), number)),
    })
  },

  // oxlint-disable-next-line require-await -- as above
  async lookup(name: string): Promise<PeerInfo | undefined> {
    const text = native.lookup(checkName(name))
    return text === null ? undefined : (JSON.parse(text) as PeerInfo)
  },
}
