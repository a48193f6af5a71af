import { MemlaneError, TcpEndpoint, type Peer, type PeerInfo, type RegionInfo } from '../../../index.js'
import { command } from '../command.js'
import { diallerOptions, DIALLING, targetOf, timeoutOf } from '../credentials.js'
import type { Screen } from '../screen.js'
import { tableLines, type Column } from '../table.js'
import { sizeText } from '../units.js'

const COLUMNS: readonly Column[] = [{ head: 'region' }, { head: 'dtype' }, { head: 'shape' }, { head: 'size', right: true }, { head: 'access' }]

/** A foreign peer takes the first bytes of the native wire for something else: what may become of that. */
const NOT_NATIVE = ['ERR_PROTOCOL', 'ERR_PEER_CLOSED', 'ERR_TIMEOUT', 'ERR_CONNECT']
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
      const peer = await reach(endpoint, targetOf(word as string), { timeoutMs, signal })
      show(peer, screen)
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
    if (typeof target !== 'string' || !(error instanceof MemlaneError) || !NOT_NATIVE.includes(error.code)) throw error
    try {
      return await endpoint.connect(target, { ...limits, wire: 'legacy' })
    } catch {
      throw error
    }
  }
}

function show(peer: Peer, screen: Screen): void {
  const name = `${peer.host}:${peer.port}`
  const regions = [...peer.regions]
  screen.document({ peer: name, wire: peer.wire, regions: regions.map(documentOf) })
  screen.line(`${name} speaks the ${peer.wire} wire${peer.wire === 'legacy' ? ", or something else than memlane's: it takes connections" : ''}`)
  if (regions.length === 0) {
    screen.line(peer.wire === 'legacy' ? '  what it has is known from its endpoint info alone: memlane inspect info.json' : '  it publishes nothing that this side may reach')
    return
  }
  const total = regions.reduce((sum, [, { length }]) => sum + length, 0)
  screen.line(`  ${regions.length === 1 ? 'one region' : `${regions.length} regions`}, ${sizeText(total)}\n`)
  for (const line of tableLines(COLUMNS, regions.map(cellsOf))) screen.line(line)
}

/** Without the address, which is another one at each start and nobody's to type. */
function documentOf([name, { length, dtype, shape, access }]: [string, RegionInfo]) {
  return { name, length, dtype, shape, access }
}

function cellsOf([name, { length, dtype, shape, access }]: [string, RegionInfo]): string[] {
  return [name, dtype ?? '', shape === undefined ? '' : `[${shape.join(', ')}]`, sizeText(length), access ?? '']
}
