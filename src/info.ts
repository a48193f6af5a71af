import { checkHost, integer, nameFault, typeError, valueError } from './arguments.js'
import { MemlaneError } from './errors.js'
import type { Access, PeerInfo, RegionInfo } from './options.js'
import { describedTensor } from './tensor.js'

export const ACCESS: readonly Access[] = ['none', 'read', 'write', 'readwrite']

/** Longest text of an endpoint info, as DESCRIBE limits it. */
const MAX_INFO_LENGTH = 1 << 20

/** An endpoint info that was looked at: every number is exact, every name is possible. */
export interface CheckedInfo {
  host: string
  port: number
  regions: Map<string, RegionInfo>
  native: boolean
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw typeError(what, 'an object', value)
  return value as Record<string, unknown>
}

function checkRegion(name: string, value: unknown): RegionInfo {
  const fault = nameFault(name)
  if (fault !== undefined) throw valueError(`a region name in info.mr_info ${fault}`)
  const what = `info.mr_info[${JSON.stringify(name)}]`
  const entry = object(value, what)
  const addr = integer(entry.addr, `${what}.addr`)
  // The last byte has to be exact too.
  const length = integer(entry.length, `${what}.length`, 0, Number.MAX_SAFE_INTEGER - addr)
  const info: RegionInfo = { ...entry, addr, length, ...describedTensor(entry, length, what) }
  if (entry.access !== undefined && !ACCESS.includes(entry.access as Access)) {
    throw valueError(`${what}.access must be one of ${ACCESS.join(', ')}`)
  }
  return Object.freeze(info)
}

/** Regions by name, in a Map: `__proto__` is a name like any other. */
function checkRegions(value: unknown): Map<string, RegionInfo> {
  const regions = new Map<string, RegionInfo>()
  for (const [name, entry] of Object.entries(object(value ?? {}, 'info.mr_info'))) {
    regions.set(name, checkRegion(name, entry))
  }
  return regions
}

function parse(text: string): unknown {
  if (text.length > MAX_INFO_LENGTH) throw valueError(`an endpoint info has at most ${MAX_INFO_LENGTH} characters`)
  try {
    return JSON.parse(text)
  } catch {
    throw valueError('the endpoint info is not JSON')
  }
}

/** Checks what somebody gave as an endpoint info. */
export function checkInfo(value: PeerInfo | string): CheckedInfo {
  const info = object(typeof value === 'string' ? parse(value) : value, 'info')
  const memlane = info.memlane === undefined ? undefined : object(info.memlane, 'info.memlane')
  return {
    host: checkHost(info.host, 'info.host'),
    port: integer(info.port, 'info.port', 1, 65_535),
    regions: checkRegions(info.mr_info),
    native: memlane !== undefined,
  }
}

/** The regions of what a peer said about itself. It is the peer's fault when that makes no sense. */
export function describedRegions(text: string, peer: string): Map<string, RegionInfo> {
  try {
    return checkRegions(object(parse(text), 'info').mr_info)
  } catch (cause) {
    throw new MemlaneError(`${peer} described itself wrongly: ${(cause as Error).message}`, {
      code: 'ERR_PROTOCOL',
      origin: 'remote',
      retryable: false,
      peer,
      operation: 'describe',
      cause,
    })
  }
}

/** Host and port of `tcp://host:port`. */
export function parseUrl(url: string): { host: string; port: number } {
  const match = /^tcp:\/\/(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([^[\]/:@?#\s\0]+)):([0-9]{1,5})\/?$/i.exec(url)
  if (match === null) throw valueError(`expected tcp://host:port, tcp://[v6]:port or an endpoint info; got ${JSON.stringify(url)}`)
  const [, v6, name, port] = match
  return { host: checkHost(v6 ?? name), port: integer(Number(port), 'the port', 1, 65_535) }
}
