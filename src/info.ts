import { isIPv6 } from 'node:net'
import { byteCount, checkHost, integer, nameFault, shown, typeError, valueError } from './arguments.js'
import { MemlaneError } from './errors.js'
import { repeatedName } from './json.js'
import type { Access, PeerInfo, RegionInfo } from './options.js'
import { describedTensor } from './tensor.js'

export const ACCESS: readonly Access[] = ['none', 'read', 'write', 'readwrite']

/** So many bytes of UTF-8 an endpoint info always may have: the least of `maxInfoBytes`, and its default. */
const LEAST_MAX_BYTES = 1 << 20
/** The version of the wire that this library speaks. */
const VERSION = 1

/** An endpoint info that was looked at: every number is exact, every name is possible. */
export interface CheckedInfo {
  host: string
  port: number
  regions: Map<string, RegionInfo>
  native: boolean
  /** Whether it says anything of regions. */
  lists: boolean
  /** Whether it is a host and a port, and nothing else. */
  isAddress: boolean
  /** The number of the endpoint's start, where the info has it. */
  instance: string | undefined
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw typeError(what, 'an object', value)
  return value as Record<string, unknown>
}

/** Whether it is an entry with nothing to complain of and nothing to look into: what most of very many are. */
function isCommon(value: unknown): value is RegionInfo {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { addr, length, access, dtype, shape } = value as Record<string, unknown>
  return (
    Number.isSafeInteger(addr) &&
    Number.isSafeInteger(length) &&
    (addr as number) >= 0 &&
    (length as number) >= 0 &&
    (length as number) <= Number.MAX_SAFE_INTEGER - (addr as number) &&
    (access === undefined || ACCESS.includes(access as Access)) &&
    dtype === undefined &&
    shape === undefined
  )
}

/** `isOurs` says that nobody else has the value, which is kept then. */
function checkRegion(name: string, value: unknown, isOurs: boolean): RegionInfo {
  const fault = nameFault(name)
  if (fault !== undefined) throw valueError(`a region name in info.mr_info ${fault}`)
  if (isCommon(value)) return Object.freeze(isOurs ? value : { ...value })
  const what = `info.mr_info[${shown(name)}]`
  const entry = object(value, what)
  const addr = integer(entry.addr, `${what}.addr`)
  // The last byte has to be exact too.
  const length = byteCount(entry.length, `${what}.length`, 0, Number.MAX_SAFE_INTEGER - addr)
  const info: RegionInfo = { ...entry, addr, length, ...describedTensor(entry, length, what) }
  if (entry.access !== undefined && !ACCESS.includes(entry.access as Access)) {
    throw valueError(`${what}.access must be one of ${ACCESS.join(', ')}; got ${shown(entry.access)}`)
  }
  return Object.freeze(info)
}

/** Regions by name, in a Map: `__proto__` is a name like any other. */
function checkRegions(value: unknown, isOurs: boolean): Map<string, RegionInfo> {
  const regions = new Map<string, RegionInfo>()
  const listed = object(value ?? {}, 'info.mr_info')
  for (const name of Object.keys(listed)) regions.set(name, checkRegion(name, listed[name], isOurs))
  return regions
}

/** What an info says under `memlane`; undefined when it has none. */
function checkMemlane(value: unknown): Record<string, unknown> | undefined {
  if (value === undefined) return undefined
  const memlane = object(value, 'info.memlane')
  if (memlane.version !== VERSION) {
    throw valueError(`info.memlane.version must be ${VERSION}, the only one spoken here; got ${shown(memlane.version)}`)
  }
  return memlane
}

/** `most` is asked of infos alone that are longer than most are. */
function checkSize(bytes: number, most: () => number): void {
  if (bytes <= LEAST_MAX_BYTES) return
  const limit = most()
  if (bytes > limit) throw valueError(`it must be at most ${limit} bytes of UTF-8; got ${bytes}`)
}

/** Measures an info that came as text. */
function bounded(text: string, most: () => number): string {
  checkSize(Buffer.byteLength(text), most)
  return text
}

function parse(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw valueError('it is no JSON')
  }
  const repeated = repeatedName(text)
  if (repeated !== undefined) {
    const where = repeated.within === '' ? 'at its top' : `in ${shown(repeated.within)}`
    throw valueError(`it has the name ${shown(repeated.name)} twice ${where}`)
  }
  return value
}

/** Measures an info that came as an object as its text would be measured. */
function measured(value: object, most: () => number): object {
  let text: string | undefined
  try {
    text = JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? Number(part) : part)) as string | undefined
  } catch (cause) {
    throw valueError(`it cannot be said in JSON: ${(cause as Error).message.split('\n', 1)[0] ?? ''}`)
  }
  if (text !== undefined) checkSize(Buffer.byteLength(text), most)
  return value
}

/** What `check` makes of an info; that of which it makes nothing is its sender's fault, whichever way it came. */
function blamed<T>(about: string, operation: string, peer: string | undefined, check: () => T): T {
  try {
    return check()
  } catch (cause) {
    throw new MemlaneError(`${about}: ${(cause as Error).message}`, {
      code: 'ERR_PROTOCOL',
      origin: 'remote',
      retryable: false,
      peer,
      operation,
      cause,
    })
  }
}

/** Checks what somebody gave as an endpoint info, an object or its JSON, of at most so many bytes. */
export function checkInfo(value: PeerInfo | string, most: () => number = () => LEAST_MAX_BYTES): CheckedInfo {
  return blamed('this is no endpoint info', 'connect', undefined, () => {
    const info = object(typeof value === 'string' ? parse(bounded(value, most)) : measured(value, most), 'info')
    const memlane = checkMemlane(info.memlane)
    return {
      host: checkHost(info.host, 'info.host'),
      port: integer(info.port, 'info.port', 1, 65_535),
      regions: checkRegions(info.mr_info, typeof value === 'string'),
      native: memlane !== undefined,
      lists: info.mr_info !== undefined,
      isAddress: Object.keys(info).length === 2,
      instance: instanceOf(memlane),
    }
  })
}

/** The info that a text is, checked. */
export function parseInfo(text: string): PeerInfo {
  checkInfo(text)
  return JSON.parse(text) as PeerInfo
}

/** What a peer said about itself, as long as the engine takes it: its regions, and which start of an endpoint it is. */
export function describedInfo(text: string, peer: string): Pick<CheckedInfo, 'regions' | 'instance'> {
  return blamed(`${peer} described itself wrongly`, 'describe', peer, () => {
    const info = object(parse(text), 'info')
    return { regions: checkRegions(info.mr_info, true), instance: instanceOf(checkMemlane(info.memlane)) }
  })
}

function instanceOf(memlane: Record<string, unknown> | undefined): string | undefined {
  const instance = memlane?.instance
  return typeof instance === 'string' && /^[0-9a-f]{32}$/i.test(instance) ? instance.toLowerCase() : undefined
}

/** Host and port of an address to advertise: `host`, `host:port`, `[v6]:port`, or an IPv6 address as it is. */
export function parseAdvertised(value: unknown): { host: string; port: number | undefined } {
  if (typeof value !== 'string') throw typeError('advertise', 'a string', value)
  if (isIPv6(value)) return { host: value, port: undefined }
  const match = /^(?:\[([^\]]*)\]|([^[\]/:@?#\s\0]+))(?::([0-9]{1,5}))?$/.exec(value)
  const [, v6, name, port] = match ?? []
  if (match === null || (v6 !== undefined && !isIPv6(v6))) {
    throw valueError(`advertise must be host, host:port, [v6] or [v6]:port; got ${JSON.stringify(value.slice(0, 300))}`)
  }
  return {
    host: checkHost(v6 ?? name, 'advertise'),
    port: port === undefined ? undefined : integer(Number(port), 'the port of advertise', 1, 65_535),
  }
}

/** Host and port of `tcp://host:port`. */
export function parseUrl(url: string): { host: string; port: number } {
  const match = /^tcp:\/\/(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([^[\]/:@?#\s\0]+)):([0-9]{1,5})\/?$/i.exec(url)
  if (match === null) throw valueError(`expected tcp://host:port, tcp://[v6]:port, an endpoint info, or { name } for an announced one; got ${shown(url)}`)
  const [, v6, name, port] = match
  return { host: checkHost(v6 ?? name), port: integer(Number(port), 'the port', 1, 65_535) }
}
