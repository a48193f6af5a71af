/** memlane through its public API, as any program uses it: from a region of the target into a region of one's own. */
import { createRequire } from 'node:module'
import { setPriority } from 'node:os'

import { startPair } from '../support/pair.mjs'
import { secured } from '../support/secured.mjs'
import { hostOf } from '../support/spawn.mjs'

export const name = 'memlane'

const VARIANTS = { prepared: 'memlane, prepared', nice: 'memlane, target at nice 10', tls: 'memlane, TLS', token: 'memlane, token' }

/**
 * `memlane:2` has two connections for large operations and one for small ones, which is `lanesPerPeer: 3`; without a number it is
 * the default of one each, `lanesPerPeer: 2`; `memlane:prepared` prepares its batches; in `memlane:nice` the target's
 * own code lets the threads that move bytes go first; `memlane:tls` and `memlane:token` are secured so;
 * `memlane:512K+1M` has socket buffers of these sizes, send and receive,
 * whoever the peer is.
 */
export function variantName(variant) {
  return VARIANTS[variant] ?? (buffers(variant) ? `memlane, buffers ${variant}` : `memlane, lanesPerPeer ${lanes(variant).lanesPerPeer}`)
}

export const version = () => createRequire(import.meta.url)('../../package.json').version

export const start = (options) => startPair(import.meta.url, options)

const REGION = 'bench'
const NICE = 10

/** Runs in the target. The import is here and not above, so that the runner can report a build that is missing. */
export async function serve({ bytes, connections = 1, variant }) {
  const { TcpEndpoint } = await import('memlane')
  const endpoint = await TcpEndpoint.listen({ host: hostOf(null), port: 0, allowUnauthenticated: true, ...roomFor(connections), ...buffers(variant), ...secured(variant) })
  const region = endpoint.alloc(REGION, bytes, { access: 'readwrite' })
  // On Linux that is this thread alone and those that it starts from now on; the engine's keep theirs.
  if (variant === 'nice') setPriority(NICE)
  return {
    address: `tcp://${endpoint.host}:${endpoint.port}`,
    memory: new Uint8Array(region.buffer),
    connections: () => endpoint.stats().connections.open,
    close: () => endpoint.close(),
  }
}

/** Runs in the initiator: reads and writes the same offsets of the target's region and of its own. */
export async function dial({ address, bytes, variant }) {
  const { TcpContext, TcpEndpoint } = await import('memlane')
  // A context each: endpoints that share one would share its connections, and dialling is what is asked for here.
  const context = new TcpContext({ ...lanes(variant), ...buffers(variant), ...secured(variant) })
  const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0, context })
  const scratch = endpoint.alloc('scratch', bytes)
  const peer = await endpoint.connect(address)
  return {
    memory: new Uint8Array(scratch.buffer),
    read: (offset, length) => peer.read(REGION, { into: scratch, intoOffset: offset, remoteOffset: offset, length }),
    write: (offset, length) => peer.write(REGION, scratch, { sourceOffset: offset, remoteOffset: offset, length }),
    batch: (op, offsets, length) => batch(peer, op, offsets, length, { remote: REGION, local: scratch }, variant),
    close: () => context.close(),
  }
}

/** What starts a batch of `offsets`, all of one `length`, from one array of descriptors. */
function batch(peer, op, offsets, length, regions, variant) {
  const descriptors = Float64Array.from(offsets.flatMap((offset) => [offset, offset, length]))
  if (variant === 'prepared') {
    const prepared = peer.prepare(op, descriptors, regions)
    return () => prepared.start()
  }
  return op === 'read' ? () => peer.readBatch(descriptors, regions) : () => peer.writeBatch(descriptors, regions)
}

/** The first connection is for small operations, so that there is always one more than large ones have. */
function lanes(variant) {
  return Number(variant) > 0 ? { lanesPerPeer: Number(variant) + 1 } : {}
}

/** Fixed socket buffers, where the variant names their sizes. */
function buffers(variant) {
  const sizes = /^(\d+)([KM])\+(\d+)([KM])$/.exec(variant)
  if (sizes === null) return null
  const bytes = (count, unit) => Number(count) * (unit === 'M' ? 1 << 20 : 1 << 10)
  return { sendBufferBytes: bytes(sizes[1], sizes[2]), receiveBufferBytes: bytes(sizes[3], sizes[4]) }
}

/** The limit per source address exists against strangers; here all connections come from one address by design. */
function roomFor(connections) {
  return connections > 1 ? { maxConnections: connections * 4, maxConnectionsPerSource: connections * 4 } : {}
}
