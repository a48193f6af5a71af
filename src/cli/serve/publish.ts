import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { MemlaneError, type Access, type MapFileOptions, type MemoryRegion, type TcpEndpoint } from '../../../index.js'
import { CliError } from '../failure.js'
import { sizeText } from '../units.js'
import { ACKS, MANIFEST, MAX_INFO_BYTES, MAX_MANIFEST_BYTES, SLOT_BYTES, SUMS, type Manifest } from '../sharing/protocol.js'
import { tooFewDescriptors, type Offer, type OpenFile, type Part } from './offer.js'

/** So many files are opened at once. */
const AT_ONCE = 64

/** What is served. */
export interface Published {
  /** As the parts of the offer, one for one. */
  regions: MemoryRegion[]
  sums: MemoryRegion
}

/** Refuses what nobody could dial: a list of regions that is longer than a pull takes. */
export function checkListed(bytes: number, most: number, regions: number): void {
  if (bytes > most) throw new CliError(`the names of ${regions} regions take ${sizeText(bytes)} to list, and peers take ${sizeText(most)}: --whole, or fewer files`)
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
    checkListed(text.length, MAX_MANIFEST_BYTES, parts.length)
    const sums = endpoint.alloc(SUMS, 4 * ACKS + SLOT_BYTES * parts.length, { access: 'read' })
    text.copy(Buffer.from(endpoint.alloc(MANIFEST, text.length, { access: 'read' }).buffer))
    await publishHeaders(endpoint, offer)
    const regions = await publishParts(endpoint, offer, access, signal)
    checkListed(Buffer.byteLength(JSON.stringify(endpoint.endpointInfo())), MAX_INFO_BYTES, parts.length)
    return { regions, sums }
  } catch (error) {
    throw inWords(error, parts.length, files.length)
  }
}

/** Maps the file that is open, also where its path leads to another by now: one whose header was not read. */
async function mapOpen(endpoint: TcpEndpoint, name: string, { path, handle }: OpenFile, options: MapFileOptions): Promise<MemoryRegion> {
  const opened = `/proc/self/fd/${handle.fd}`
  if (existsSync(opened)) {
    return endpoint.mapFile(name, opened, options).catch((error: unknown) => {
      const cause = (error as Error).cause as NodeJS.ErrnoException | undefined
      if (cause?.path !== opened || cause.code === 'EMFILE' || cause.code === 'ENFILE') throw error
      throw Object.assign(cause, { path, message: cause.message.replace(opened, path) })
    })
  }
  const region = await endpoint.mapFile(name, path, options)
  const [ours, there] = [await handle.stat({ bigint: true }), await stat(path, { bigint: true })]
  if (ours.ino !== there.ino || ours.dev !== there.dev) throw new CliError(`${path}: was replaced while it was opened: start it anew`)
  return region
}

async function publishHeaders(endpoint: TcpEndpoint, { files }: Offer): Promise<void> {
  for (const file of files) {
    const { header, headerBytes } = file
    if (header !== undefined && headerBytes !== undefined) await mapOpen(endpoint, header.region, file, { access: 'read', offset: 8, length: headerBytes })
  }
}

async function publishParts(endpoint: TcpEndpoint, { files, parts }: Offer, access: Access, signal: AbortSignal): Promise<MemoryRegion[]> {
  const regions: MemoryRegion[] = []
  const publishOne = async ({ name, file, offset, bytes, ours, shape }: Part, index: number): Promise<void> => {
    const kind = ours !== undefined && shape !== undefined ? { dtype: ours, shape } : { length: bytes }
    regions[index] = await mapOpen(endpoint, name, files[file] as OpenFile, { access, offset, ...kind, signal })
  }
  for (let from = 0; from < parts.length; from += AT_ONCE) {
    await Promise.all(parts.slice(from, from + AT_ONCE).map((part, at) => publishOne(part, from + at)))
    await turn()
  }
  return regions
}

/** What so many regions run into, in words that say what to do. */
function inWords(error: unknown, count: number, files: number): unknown {
  if (!(error instanceof MemlaneError)) return error
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException
  const each = `${count} regions of files take as many`
  if (code === 'EMFILE' || code === 'ENFILE') return tooFewDescriptors(count, files, error)
  if (code === 'ENOMEM' || error.code === 'ERR_MEMORY') return new CliError(`${each} mappings, and this process may not have them: sysctl vm.max_map_count=${count * 2 + 65_530}, or --whole`, { cause: error })
  return error
}
