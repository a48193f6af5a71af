import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { CliError, usageError } from '../failure.js'
import { byAlignment, madeHeader } from '../safetensors/header.js'
import { harmless } from '../screen.js'
import type { Catalogue, Item, Original } from './catalogue.js'
import { fileNameOf, matcherOf } from './names.js'

/** An item in a file that is to be. */
export interface Extent {
  item: Item
  /** Its first byte in the file. */
  at: number
}

/** A file that is to be. */
export interface Plan {
  path: string
  /** What it begins with; it is not pulled. */
  head: Buffer
  /** In the order of the file, one behind the other. */
  extents: readonly Extent[]
  bytes: number
  /** What tells that a file which is not whole is of the same plan. */
  key: string
}

/** Those items that are meant; all of them where nobody said. */
export function chosen({ items }: Catalogue, patterns: readonly string[], label: string): readonly Item[] {
  if (patterns.length === 0) return items
  const matchers = patterns.map((pattern) => ({ pattern, matches: matcherOf(pattern) }))
  for (const { pattern, matches } of matchers) {
    if (!items.some(({ name }) => matches(name))) {
      const some = items.slice(0, 3).map(({ name }) => harmless(name))
      throw new CliError(`${label} has nothing to read that is named ${JSON.stringify(harmless(pattern))}: ${some.length === 0 ? 'it has nothing at all' : `it has ${some.join(', ')}${items.length > 3 ? ` and ${items.length - 3} more` : ''}`}`, { code: 'ERR_REGION_NOT_FOUND' })
    }
  }
  return items.filter(({ name }) => matchers.some(({ matches }) => matches(name)))
}

/** A file for each item. */
export function folderPlans(items: readonly Item[], folder: string): Plan[] {
  const plans = items.map((item) => planned(join(folder, fileNameOf(item.name)), Buffer.alloc(0), [item]))
  distinct(plans.map(({ path }) => path))
  return plans
}

/** One safetensors file for all of them: the one that the peer has, byte for byte, where they are all of it and nothing else. */
export function safetensorsPlan(items: readonly Item[], catalogue: Catalogue, path: string): Plan {
  const original = onlyOriginal(items, catalogue)
  if (original !== undefined) return planned(path, original.head, original.items)
  const typed = items.map((item) => ({ ...item, dtype: item.dtype ?? 'U8', shape: item.dtype === undefined ? [item.bytes] : (item.shape ?? []) })).sort(byAlignment)
  if (typed.some(({ name }) => name === '__metadata__')) throw usageError('no tensor of a safetensors file can be named __metadata__: choose the others by NAME')
  // oxlint-disable-next-line no-control-regex
  const steering = typed.find(({ name }) => /[\u0000-\u001f\u007f-\u009f]/.test(name))
  if (steering !== undefined) throw new CliError(`no tensor of a safetensors file can be named "${harmless(steering.name)}", with a control character: pull it into a folder, or choose the others by NAME`)
  distinct(typed.map(({ name }) => name))
  let end = 0
  const entries = typed.map(({ name, dtype, shape, bytes }) => ({ name, dtype, shape, begin: end, end: (end += bytes) }))
  return planned(path, madeHeader(entries, metadataOf(items, catalogue)), typed)
}

/** Whatever a peer says, no file and no tensor takes the place of another. */
function distinct(names: readonly string[]): void {
  if (new Set(names).size !== names.length) throw new CliError('the peer has two regions of one name', { code: 'ERR_PROTOCOL' })
}

function onlyOriginal(items: readonly Item[], { originals }: Catalogue): Original | undefined {
  const index = items[0]?.file ?? (items.length === 0 && originals.size === 1 ? [...originals.keys()][0] : undefined)
  const original = index === undefined ? undefined : originals.get(index)
  if (original?.items.length !== items.length) return undefined
  return items.every(({ file }) => file === index) ? original : undefined
}

/** What all files say that the items are of; where two say different things, the first. */
function metadataOf(items: readonly Item[], { originals }: Catalogue): Map<string, string> {
  const metadata = new Map<string, string>()
  for (const file of new Set(items.map((item) => item.file))) {
    const original = file === undefined ? undefined : originals.get(file)
    for (const [key, value] of original?.metadata ?? []) if (!metadata.has(key)) metadata.set(key, value)
  }
  return metadata
}

function planned(path: string, head: Buffer, items: readonly Item[]): Plan {
  const key = createHash('sha256').update(head)
  let bytes = head.length
  const extents = items.map((item) => {
    const at = bytes
    bytes += item.bytes
    key.update(JSON.stringify([item.name, item.bytes, at]))
    return { item, at }
  })
  return { path, head, extents, bytes, key: key.digest('hex') }
}
