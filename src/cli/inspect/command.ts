import { MemlaneError, TcpEndpoint, type Peer, type PeerInfo, type RegionInfo } from '../../../index.js'
import { command } from '../command.js'
import { diallerOptions, DIALLING, targetOf, timeoutOf } from '../credentials.js'
import type { Screen } from '../screen.js'
import { OWN } from '../sharing/protocol.js'
import { tableLines, type Column } from '../table.js'
import { sizeText } from '../units.js'
import { hanging } from '../wrap.js'

const COLUMNS: readonly Column[] = [{ head: 'region' }, { head: 'dtype' }, { head: 'shape' }, { head: 'size', right: true }, { head: 'access' }]

/** What is left out where the screen is too narrow for all, in that order. */
const DISPENSABLE = ['access', 'dtype', 'shape']

/** A peer of the legacy wire waits for more than the first bytes of the native one: what may become of that. One that answers them is none. */
const SILENT = ['ERR_PEER_CLOSED', 'ERR_TIMEOUT', 'ERR_CONNECT']
/** How long a peer that has taken the connection may be silent until it counts as one of the legacy wire. */
const HANDSHAKE_MS = 2000

export const inspect = command({
  name: 'inspect',
  summary: 'Tells which wire a peer speaks, and what it publishes',
  usage: '[options] tcp://HOST:PORT',
  names: [1, 1],
  options: { ...DIALLING },
  examples: ['memlane inspect tcp://127.0.0.1:7400', 'memlane inspect --json tcp://127.0.0.1:7400', 'memlane inspect dlslime-info.json'],
  notes: [
    'Regions that a peer grants to other tokens only are not in the list. A legacy peer (DLSlime) does not tell what it has: save its\nendpoint info as JSON and give that file.',
  ],
  async run({ values, names: [word], screen, signal }) {
    const timeoutMs = timeoutOf(values)
    const options = { ...diallerOptions(values, screen), handshakeTimeoutMs: Math.min(HANDSHAKE_MS, timeoutMs) }
    const endpoint = await TcpEndpoint.listen(options)
    try {
      const target = targetOf(word as string)
      const peer = await reach(endpoint, target, { timeoutMs, signal })
      show(peer, typeof target === 'string' && peer.wire === 'legacy', screen)
    } finally {
      await endpoint.close({ drainMs: 0 })
    }
  },
})

/** The peer on the native wire, or on the legacy one where it takes connections and does not speak the native one. */
async function reach(endpoint: TcpEndpoint, target: string | PeerInfo, limits: { timeoutMs: number; signal: AbortSignal }): Promise<Peer> {
  try {
    return await endpoint.connect(target, limits)
  } catch (error) {
    if (typeof target !== 'string' || !(error instanceof MemlaneError) || !SILENT.includes(error.code)) throw error
    try {
      return await endpoint.connect(target, { ...limits, wire: 'legacy' })
    } catch {
      throw error
    }
  }
}

/** `isGuess`: it took the connection, and that is all that is known of it. */
function show(peer: Peer, isGuess: boolean, screen: Screen): void {
  const name = `${peer.host}:${peer.port}`
  const regions = [...peer.regions]
  screen.document({ peer: name, wire: isGuess ? 'unknown' : peer.wire, regions: regions.map(documentOf) })
  const say = (lead: string, text: string): void => hanging(lead, text, screen.columns).forEach((line) => screen.line(line))
  say('', `${name} speaks the ${peer.wire} wire${peer.wire === 'legacy' ? ", or something else than memlane's: it takes connections" : ''}`)
  if (regions.length === 0) {
    say('  ', peer.wire === 'legacy' ? 'what it has is known from its endpoint info alone: memlane inspect info.json' : 'it publishes nothing that this side may reach')
    return
  }
  const total = regions.reduce((sum, [, { length }]) => sum + length, 0)
  const own = regions.filter(([region]) => region.startsWith(OWN)).length
  say('  ', `${regions.length === 1 ? 'one region' : `${regions.length} regions`}, ${sizeText(total)}${own === 0 ? '' : `; ${own} of them memlane's own (${OWN})`}`)
  screen.line()
  // A name that is cut is of no use to a program that reads the output.
  const most = screen.rows === undefined ? Number.POSITIVE_INFINITY : screen.columns
  for (const line of tableLines(COLUMNS, regions.map(cellsOf), { most, dispensable: DISPENSABLE })) screen.line(line)
}

/** Without the address, which is another one at each start and nobody's to type. */
function documentOf([name, { length, dtype, shape, access }]: [string, RegionInfo]) {
  return { name, length, dtype, shape, access }
}

function cellsOf([name, { length, dtype, shape, access }]: [string, RegionInfo]): string[] {
  return [name, dtype ?? '', shape === undefined ? '' : `[${shape.join(', ')}]`, sizeText(length), access ?? '']
}
