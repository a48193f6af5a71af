import { setImmediate as turn } from 'node:timers/promises'
import { MemlaneError, type Access, type MemoryRegion, type TcpEndpoint } from '../../../index.js'
import { CliError } from '../failure.js'
import { ACKS, MANIFEST, SLOT_BYTES, SUMS, type Manifest } from '../sharing/protocol.js'
import type { Offer, Part } from './offer.js'

/** So many files are opened at once. */
const AT_ONCE = 64

/** What is served. */
export interface Published {
  /** As the parts of the offer, one for one. */
  regions: MemoryRegion[]
  sums: MemoryRegion
}

/** Makes the regions. What tells of them is there first, so that who comes early sees which are missing. */
export async function publish(endpoint: TcpEndpoint, offer: Offer, access: Access, signal: AbortSignal): Promise<Published> {
  const { files, parts } = offer
  const manifest: Manifest = {
    memlane: 'serve',
    version: 1,
    files: files.map(({ name, bytes, header }) => ({ name, bytes, ...(header !== undefined && { header }) })),
    slots: parts.map(({ name, file }) => [name, file] as const),
  }
  try {
    const text = Buffer.from(JSON.stringify(manifest))
    const sums = endpoint.alloc(SUMS, 4 * ACKS + SLOT_BYTES * parts.length, { access: 'read' })
    text.copy(Buffer.from(endpoint.alloc(MANIFEST, text.length, { access: 'read' }).buffer))
    await publishHeaders(endpoint, offer)
    return { regions: await publishParts(endpoint, offer, access, signal), sums }
  } catch (error) {
    throw inWords(error, parts.length)
  }
}

async function publishHeaders(endpoint: TcpEndpoint, { files }: Offer): Promise<void> {
  for (const { path, header, headerBytes } of files) {
    if (header !== undefined && headerBytes !== undefined) await endpoint.mapFile(header.region, path, { access: 'read', offset: 8, length: headerBytes })
  }
}

async function publishParts(endpoint: TcpEndpoint, { files, parts }: Offer, access: Access, signal: AbortSignal): Promise<MemoryRegion[]> {
  const regions: MemoryRegion[] = []
  const publishOne = async ({ name, file, offset, bytes, ours, shape }: Part, index: number): Promise<void> => {
    const path = files[file]?.path as string
    const kind = ours !== undefined && shape !== undefined ? { dtype: ours, shape } : { length: bytes }
    regions[index] = await endpoint.mapFile(name, path, { access, offset, ...kind, signal })
  }
  for (let from = 0; from < parts.length; from += AT_ONCE) {
    await Promise.all(parts.slice(from, from + AT_ONCE).map((part, at) => publishOne(part, from + at)))
    await turn()
  }
  return regions
}

/** What so many regions run into, in words that say what to do. */
function inWords(error: unknown, count: number): unknown {
  if (!(error instanceof MemlaneError)) return error
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException
  const each = `${count} regions of files take as many`
  if (code === 'EMFILE' || code === 'ENFILE') return new CliError(`${each} descriptors, and this process may not have them: ulimit -n ${count + 1000}, or --whole`, { cause: error })
  if (code === 'ENOMEM' || error.code === 'ERR_MEMORY') return new CliError(`${each} mappings, and this process may not have them: sysctl vm.max_map_count=${count * 2 + 65_530}, or --whole`, { cause: error })
  return error
}
