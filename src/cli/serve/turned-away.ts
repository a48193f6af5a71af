import type { MemlaneError, TcpEndpoint } from '../../../index.js'
import { harmless, type Screen } from '../screen.js'

/** Who tries again and again is told of once in this time. */
const REST_MS = 10_000
/** So many strangers are told of in that time; nobody reads more, and nobody can make this remember more. */
const MOST_STRANGERS = 1000

/** Tells of those who are not let in, by the address that they come from. */
export function tellTurnedAway(endpoint: TcpEndpoint, screen: Screen): void {
  const told = new Map<string, number>()
  endpoint.on('error', ({ code, peer, message }: MemlaneError) => {
    if ((code !== 'ERR_AUTH' && code !== 'ERR_TLS') || peer === undefined) return
    const now = performance.now()
    const address = peer.replace(/:\d+$/, '')
    for (const [one, at] of told) {
      if (now - at < REST_MS) break
      told.delete(one)
    }
    if (told.has(address) || told.size >= MOST_STRANGERS) return
    told.set(address, now)
    if (screen.json) screen.document({ turned_away: { address, code, message } })
    else screen.note(`turned away ${harmless(address)}: ${harmless(message)}`)
  })
}
