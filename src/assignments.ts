import {
  byteCount,
  bytesOf,
  checkKeys,
  checkRange,
  nameFault,
  part,
  typeError,
  unknownOption,
  valueError,
} from './arguments.js'
import type { DescriptorOptions } from './options.js'
import { type Direction, FIELDS, type OpenEntry, Plan, STAGED, type StagedPart } from './plan.js'
import { checkStorable, MemoryRegion, regionHandle } from './region.js'
import type { Remote } from './remote.js'

/** Numbers per entry of the descriptors. */
const DESCRIPTOR_FIELDS = 3
const ASSIGNMENT_OPTIONS = 'remote, remoteOffset, local, localOffset, length'

const entryOfAssignments = (entry: number) => `assignments[${entry}]`
const entryOfDescriptors = (entry: number) => `entry ${entry} of descriptors`

/** What is given to `readBatch`, `writeBatch` and `prepare`, as a plan. `options` has `remote` and `local` for descriptors. */
export function planOf(remote: Remote, direction: Direction, entries: unknown, options: unknown): Plan {
  if (entries instanceof Float64Array) return planDescriptors(remote, direction, entries, options as DescriptorOptions)
  if (Array.isArray(entries)) return planAssignments(remote, direction, entries)
  if (ArrayBuffer.isView(entries)) throw typeError('descriptors', 'a Float64Array', entries)
  throw typeError('assignments', 'an array of assignments, or a Float64Array', entries)
}

/** The keys that the options of such entries have beside `others`. */
export function checkBatchKeys(entries: unknown, options: object | undefined, others: readonly string[]): void {
  checkKeys(options, ArrayBuffer.isView(entries) ? ['remote', 'local', ...others] : others)
}

function whole(value: unknown, entry: number, key: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  return byteCount(value, `assignments[${entry}].${key}`)
}

/** The name at that index, which the peer is not known to have. */
function checkEntryName(name: unknown, entry: number): void {
  const what = `${entryOfAssignments(entry)}.remote`
  if (typeof name !== 'string') throw typeError(what, 'a string', name)
  const fault = nameFault(name)
  if (fault !== undefined) throw valueError(`${what} ${fault}`)
}

function planAssignments(remote: Remote, direction: Direction, entries: readonly unknown[]): Plan {
  const count = entries.length
  const numbers = new Float64Array(count * FIELDS)
  const nameOf = new Uint32Array(count)
  const names = new Map<string, number>()
  const locals = new Map<MemoryRegion, number>()
  const staged: StagedPart[] = []
  const open: OpenEntry[] = []
  for (let entry = 0, at = 0; entry < count; entry++, at += FIELDS) {
    const given = entries[entry]
    if (typeof given !== 'object' || given === null) throw typeError(entryOfAssignments(entry), 'an object', given)
    let name: unknown
    let local: unknown
    let remoteOffset = 0
    let localOffset = 0
    let length: number | undefined
    for (const key in given) {
      const value: unknown = given[key as keyof typeof given]
      if (key === 'remote') name = value
      else if (key === 'local') local = value
      else if (key === 'remoteOffset') remoteOffset = value === undefined ? 0 : whole(value, entry, key)
      else if (key === 'localOffset') localOffset = value === undefined ? 0 : whole(value, entry, key)
      else if (key === 'length') length = value === undefined ? undefined : whole(value, entry, key)
      else throw unknownOption(key, `${ASSIGNMENT_OPTIONS} (${entryOfAssignments(entry)})`)
    }
    let index = names.get(name as string)
    if (index === undefined) {
      if (!remote.regions.has(name as string)) checkEntryName(name, entry)
      index = names.size
      names.set(name as string, index)
    }
    nameOf[entry] = index
    let most: number
    if (local instanceof MemoryRegion) {
      if (length === undefined || localOffset > local.length || length > local.length - localOffset) {
        checkRange(localOffset, length ?? 0, local.length, `${entryOfAssignments(entry)}.local`)
      }
      let handle = locals.get(local)
      if (handle === undefined) {
        handle = regionHandle(local)
        if (direction === 'read') checkStorable(local, `${entryOfAssignments(entry)}.local`)
        locals.set(local, handle)
      }
      numbers[at] = handle
      numbers[at + 1] = localOffset
      most = local.length - localOffset
    } else {
      const what = `${entryOfAssignments(entry)}.local`
      const view = part(bytesOf(local, what), localOffset, length, what)
      staged.push({ entry, view })
      numbers[at] = STAGED
      most = view.byteLength
    }
    numbers[at + 2] = remoteOffset
    numbers[at + 3] = length ?? most
    // A write without a length is of all of the source, as a single one is; a read takes what there is.
    if (length === undefined && direction === 'read') open.push({ entry, most })
  }
  return new Plan(numbers, [...names.keys()], nameOf, [...locals.keys()], entryOfAssignments, staged, open)
}

function planDescriptors(remote: Remote, direction: Direction, descriptors: Float64Array, options: DescriptorOptions | undefined): Plan {
  if (descriptors.length % DESCRIPTOR_FIELDS !== 0) {
    throw valueError(`descriptors must have ${DESCRIPTOR_FIELDS} numbers an entry; got ${descriptors.length} numbers`)
  }
  const name = options?.remote
  const local = options?.local
  if (typeof name !== 'string') throw typeError('remote', 'a string', name)
  if (!(local instanceof MemoryRegion)) throw typeError('local', 'a MemoryRegion', local)
  const { regions } = remote
  const region = regions.get(name)
  const fault = region === undefined ? nameFault(name) : undefined
  if (fault !== undefined) throw valueError(`remote ${fault}`)
  const handle = regionHandle(local)
  if (direction === 'read') checkStorable(local, 'local')
  const localLength = local.length
  const remoteLength = region?.length ?? Number.MAX_SAFE_INTEGER
  const base = region?.addr ?? 0
  const numbers = new Float64Array((descriptors.length / DESCRIPTOR_FIELDS) * FIELDS)
  for (let from = 0, to = 0; to < numbers.length; from += DESCRIPTOR_FIELDS, to += FIELDS) {
    const localOffset = descriptors[from] as number
    const remoteOffset = descriptors[from + 1] as number
    const length = descriptors[from + 2] as number
    // Asked so that NaN fails too. What is in a range of safe integers and its own floor is a safe integer.
    const fits =
      localOffset >= 0 &&
      remoteOffset >= 0 &&
      length >= 0 &&
      localOffset <= localLength &&
      length <= localLength - localOffset &&
      remoteOffset <= remoteLength &&
      length <= remoteLength - remoteOffset &&
      Math.floor(localOffset) === localOffset &&
      Math.floor(remoteOffset) === remoteOffset &&
      Math.floor(length) === length
    if (!fits) refuse(to / FIELDS, localOffset, remoteOffset, length, localLength, remoteLength)
    numbers[to] = handle
    numbers[to + 1] = localOffset
    numbers[to + 2] = base + remoteOffset
    numbers[to + 3] = length
  }
  return region === undefined
    ? new Plan(numbers, [name], undefined, [local], entryOfDescriptors)
    : Plan.resolved(numbers, name, base, regions, local, entryOfDescriptors)
}

/** Says what is wrong with an entry of the descriptors. */
function refuse(
  entry: number,
  localOffset: number,
  remoteOffset: number,
  length: number,
  localLength: number,
  remoteLength: number
): never {
  const what = entryOfDescriptors(entry)
  byteCount(localOffset, `localOffset of ${what}`)
  byteCount(remoteOffset, `remoteOffset of ${what}`)
  byteCount(length, `length of ${what}`)
  checkRange(localOffset, length, localLength, `local of ${what}`)
  checkRange(remoteOffset, length, remoteLength, `the remote region of ${what}`)
  throw valueError(`${what} makes no sense`)
}
