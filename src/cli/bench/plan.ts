import type { Options, Values } from '../command.js'
import { CREDENTIALS, DIALLING } from '../credentials.js'
import { usageError } from '../failure.js'
import { bytesOf, integerOf, numberOf } from '../parse.js'
import type { Op } from './result.js'

export const OPTIONS = {
  sizes: { type: 'string', value: 'LIST', default: '64,4k,64k,1M,16M', help: 'bytes of one operation' },
  seconds: { type: 'string', value: 'N', default: '1', help: 'how long each row is measured' },
  depth: { type: 'string', value: 'N', default: '1', help: 'operations under way at any time' },
  lanes: { type: 'string', value: 'N', default: '2', help: 'most connections for reads and writes: one for small ones, the others for large ones' },
  op: { type: 'string', value: 'OP', help: 'read, write or both; of a target of its own both, of others read' },
  region: { type: 'string', value: 'NAME', help: 'which region of the peer’s; the largest that allows it when left out' },
  write: { type: 'boolean', default: false, help: 'allows writing to a peer’s region; see below' },
  busy: { type: 'boolean', default: false, help: 'blocks the event loop of its own target for 300 ms of every 310' },
  histogram: { type: 'string', value: 'SIZE', help: 'draws this size’s latencies large; the only size’s when left out' },
  output: { type: 'string', short: 'o', value: 'FILE', help: 'writes the JSON there too' },
  html: { type: 'string', value: 'FILE', help: 'writes a page with tables and plots' },
  ascii: { type: 'boolean', default: false, help: 'no character beyond ASCII, as where the locale is not UTF-8' },
  ...DIALLING,
} as const satisfies Options

const MOST_BYTES = 2 ** 40
const MOST_DEPTH = 65_536
/** What operations that are under way together may have of the regions: beyond it some have the same bytes. */
const MOST_SPAN_BYTES = 256 * 2 ** 20

/** What is to be measured. */
export interface Plan {
  ops: Op[]
  sizes: number[]
  seconds: number
  depth: number
  lanes: number
  region: string | undefined
  busy: boolean
  histogram: number | undefined
}

const OPS: Readonly<Record<string, Op[]>> = { read: ['read'], write: ['write'], both: ['read', 'write'] }

export function planOf(values: Values<typeof OPTIONS>, hasTarget: boolean): Plan {
  const sizes = [...new Set(values.sizes.split(',').map((one) => bytesOf('sizes', one.trim(), 1, MOST_BYTES)))]
  const plan: Plan = {
    ops: opsOf(values, hasTarget),
    sizes: sizes.sort((one, other) => one - other),
    seconds: numberOf('seconds', values.seconds, 0.01, 86_400),
    depth: integerOf('depth', values.depth, 1, MOST_DEPTH),
    lanes: integerOf('lanes', values.lanes, 1, 16),
    region: values.region,
    busy: values.busy,
    histogram: values.histogram === undefined ? undefined : bytesOf('histogram', values.histogram, 1, MOST_BYTES),
  }
  if (plan.histogram !== undefined && !sizes.includes(plan.histogram)) throw usageError(`--histogram ${values.histogram} is none of --sizes ${values.sizes}`)
  checkTarget(values, hasTarget)
  return plan
}

function opsOf({ op, write }: Values<typeof OPTIONS>, hasTarget: boolean): Op[] {
  const ops = OPS[op ?? (hasTarget && !write ? 'read' : 'both')]
  if (ops === undefined || !Object.hasOwn(OPS, op ?? 'both')) throw usageError(`--op is read, write or both, not ${JSON.stringify(op)}`)
  if (hasTarget && !write && ops.includes('write')) throw usageError(`--op ${op} writes to the peer’s region, which --write has to allow`)
  return ops
}

/** What is for the one kind of target only. */
function checkTarget(values: Values<typeof OPTIONS>, hasTarget: boolean): void {
  if (hasTarget) {
    if (values.busy) throw usageError('--busy is for a target of its own: leave the peer out')
    return
  }
  const foreign = [...Object.keys(CREDENTIALS), 'region'].find((name) => values[name as keyof typeof values] !== undefined)
  if (foreign !== undefined) throw usageError(`--${foreign} is for a peer: name one`)
}

/** The bytes of the regions that operations go to. */
export function spanOf({ sizes, depth }: Plan, most = Number.POSITIVE_INFINITY): number {
  const largest = Math.max(...sizes.filter((size) => size <= most))
  return Math.min(most, Math.max(largest, Math.min(MOST_SPAN_BYTES, largest * depth)))
}

/** A fifth of what is measured. */
export function warmupOf({ seconds }: Plan): number {
  return seconds / 5
}
