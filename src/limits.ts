import { checkKeys, integer } from './arguments.js'
import { native, type LimitRow } from './native.js'
import type { CloseOptions, Limits } from './options.js'

let table: LimitRow[] | undefined

/** The engine's limits: it alone knows their ranges. */
function rows(): LimitRow[] {
  return (table ??= native.limitTable())
}

export function limitNames(): string[] {
  return rows().map(({ name }) => name)
}

/** What a limit counts, as its name says it. */
function unit(name: string): string {
  if (name.endsWith('Ms')) return ' milliseconds'
  if (name.includes('Bytes')) return ' bytes'
  if (/lanes|Connections/.test(name)) return ' connections'
  return ` ${/[A-Z][a-z]+$/.exec(name)?.[0].toLowerCase() ?? ''}`
}

/** Those limits that `options` sets, as the engine takes them. */
export function checkLimits(options: Limits): Record<string, number> {
  const limits: Record<string, number> = {}
  for (const { name, least, most } of rows()) {
    const value = options[name as keyof Limits]
    if (value !== undefined) limits[name] = integer(value, name, least, most, unit(name))
  }
  return limits
}

/** What the limit `drainMs` says, to the engine. */
export const DRAIN_BY_LIMIT = -1

/** The time that options of a `close` give to running work, in the range of the limit of that name. */
export function checkDrain(options: CloseOptions): number {
  checkKeys(options, ['drainMs'])
  const { drainMs } = options
  return drainMs === undefined ? DRAIN_BY_LIMIT : (checkLimits({ drainMs }).drainMs as number)
}
