import { harmless, type Screen } from '../screen.js'
import { sizeText } from '../units.js'
import type { Offer, Part } from './offer.js'

/** More lines than this nobody reads. */
const MOST_ROWS = 40
const GAP = '  '

/** What an element is: memlane's name of it, or the file's where memlane has none. */
function typeText({ ours, dtype, shape }: Part): string {
  if (dtype === undefined || shape === undefined) return ''
  return `${ours ?? `${harmless(dtype.slice(0, 20))} as bytes`} [${shape.join(', ')}]`
}

/** Texts below one another; the last column is to the right. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)))
  return rows.map((row) => row.map((text, index) => (index === row.length - 1 ? text.padStart(widths[index] ?? 0) : text.padEnd(widths[index] ?? 0))).join(GAP))
}

/** What is served, for people. `needed` are the options that whoever dials has to give. */
export function printOffer(screen: Screen, { files, parts }: Offer, url: string, needed: string): void {
  const rows = parts.slice(0, MOST_ROWS).map((part) => [harmless(part.name), typeText(part), sizeText(part.bytes)])
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0)
  for (const line of columns(rows)) screen.line(`  ${line}`)
  if (parts.length > MOST_ROWS) screen.line(`  … and ${parts.length - MOST_ROWS} more`)
  const empty = files.reduce((sum, file) => sum + file.empty, 0)
  if (empty > 0) screen.line(`  ${empty === 1 ? 'a tensor' : `${empty} tensors`} without elements: no region, and in what is pulled all the same`)
  const unknown = parts.filter(({ dtype, ours }) => dtype !== undefined && ours === undefined).length
  if (unknown > 0) screen.note(`note: ${unknown === 1 ? 'a tensor has' : `${unknown} tensors have`} a type that memlane has no name for, and ${unknown === 1 ? 'is' : 'are'} served as bytes`)
  screen.line()
  screen.line(`serving ${parts.length === 1 ? '1 region' : `${parts.length} regions`}, ${sizeText(total)}, at ${screen.styled('bold', url)}`)
  screen.line(`  npx memlane pull ${url} -o DIR${needed}`)
}

/** The same for programs. */
export function offerDocument({ files, parts }: Offer, url: string, access: string): object {
  return {
    url,
    access,
    files: files.map(({ path, bytes, header, empty }) => ({ path, bytes, ...(header !== undefined && { format: 'safetensors', empty }) })),
    regions: parts.map(({ name, file, bytes, dtype, ours, shape }) => ({ name, file: files[file]?.path, bytes, dtype: ours ?? null, shape: shape ?? null, ...(dtype !== undefined && { file_dtype: dtype }) })),
  }
}
