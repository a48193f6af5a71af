import { createHash } from 'node:crypto'

/** Bytes of a file's name, so that `.part` and what stands behind it still fit. */
const MAX_BYTES = 200
const KEPT_CHARACTERS = 50

const escaped = (text: string): string => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')

// What some system or shell takes for something else: separators, wildcards, controls, marks that turn text around, and what nobody sees.
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f"*/:<>?\\|%\u2028\u2029\p{Cf}\p{Default_Ignorable_Code_Point}]/gu
/** Hidden files, the folder itself and that above it, options of commands. */
const UNSAFE_START = /^[.\-~ ]/
/** What Windows cuts off, and our own names of files that are not whole. */
const UNSAFE_END = /(?:[. ]|\.part(?:\.json(?:\.new)?)?)$/i
/** Devices of Windows. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?=\.|$)/i

/**
 * The name of the file for a region: its own, where that is harmless, else with `%2F` and the like in place of what is not.
 * Two regions never have the same. It has no separator, so that it leads nowhere.
 */
export function fileNameOf(region: string): string {
  const name = region
    .replace(UNSAFE, escaped)
    .replace(UNSAFE_START, escaped)
    .replace(UNSAFE_END, (end) => end.slice(0, -1) + escaped(end.slice(-1)))
    .replace(DEVICE, (device) => escaped(device.charAt(0)) + device.slice(1))
  if (Buffer.byteLength(name) <= MAX_BYTES) return name
  // Whole characters and whole escapes; the hash tells it from others that begin so.
  const start = [...name].slice(0, KEPT_CHARACTERS).join('').replace(/%.?$/, '')
  return `${start}%~${createHash('sha256').update(region).digest('hex').slice(0, 32)}`
}

/** Whether a name is meant: as it is, or with `*` for anything. */
export function matcherOf(pattern: string): (name: string) => boolean {
  if (!pattern.includes('*')) return (name) => name === pattern
  const [start = '', ...rest] = pattern.split('*')
  const end = rest.pop() ?? ''
  return (name) => {
    if (name === pattern) return true
    if (name.length < start.length + end.length || !name.startsWith(start) || !name.endsWith(end)) return false
    // The first place for each part is as good as any: nothing is tried twice, whatever the pattern.
    let at = start.length
    const last = name.length - end.length
    for (const part of rest) {
      const found = name.indexOf(part, at)
      if (found === -1 || found + part.length > last) return false
      at = found + part.length
    }
    return true
  }
}
