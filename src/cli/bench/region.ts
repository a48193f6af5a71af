import type { Access, Peer, RegionInfo } from '../../../index.js'
import { CliError } from '../failure.js'
import type { Op } from './result.js'

const SHOWN_NAMES = 5

/** Whether the peer lets a region be read or written; a foreign one does not say, and lets both. */
export function allows(op: Op, access: Access | undefined): boolean {
  return access === undefined || access === 'readwrite' || access === op
}

/** The region that operations go to: the one of that name, else the largest that allows all of `ops`. */
export function chosenRegion(peer: Pick<Peer, 'regions' | 'host' | 'port'>, ops: readonly Op[], name: string | undefined): [string, RegionInfo] {
  const whose = `${peer.host}:${peer.port}`
  if (name !== undefined) {
    const info = peer.regions.get(name)
    if (info === undefined) throw new CliError(`${whose} has no region ${JSON.stringify(name)}: ${listed(peer.regions)}`)
    const missing = ops.find((op) => !allows(op, info.access))
    if (missing !== undefined) throw new CliError(`the region ${JSON.stringify(name)} of ${whose} is not for a ${missing}: its access is ${info.access}`)
    if (info.length === 0) throw new CliError(`the region ${JSON.stringify(name)} of ${whose} has no bytes`)
    return [name, info]
  }
  let chosen: [string, RegionInfo] | undefined
  for (const one of peer.regions) {
    const { length, access } = one[1]
    if (length > (chosen?.[1].length ?? 0) && ops.every((op) => allows(op, access))) chosen = one
  }
  if (chosen === undefined) throw new CliError(`${whose} has no region for ${ops.map((op) => `a ${op}`).join(' and ')}: ${listed(peer.regions)}`)
  return chosen
}

function listed(regions: ReadonlyMap<string, RegionInfo>): string {
  if (regions.size === 0) return 'it lists none'
  const names = [...regions].slice(0, SHOWN_NAMES).map(([name, { access }]) => JSON.stringify(name) + (access === undefined ? '' : ` (${access})`))
  return `it has ${names.join(', ')}${regions.size > SHOWN_NAMES ? ` and ${regions.size - SHOWN_NAMES} more` : ''}`
}
