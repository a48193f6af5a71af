import { parseArgs } from 'node:util'
import type { Command, Options, Values } from './command.js'
import { usageError } from './failure.js'

/** What every command takes. */
export const COMMON = {
  json: { type: 'boolean', default: false, help: 'JSON on standard output, one document a line, and nothing else there' },
  debug: { type: 'boolean', default: false, help: 'the stack of an error too' },
  help: { type: 'boolean', default: false, short: 'h', help: 'this text' },
} as const satisfies Options

export interface Parsed {
  values: Values<Options> & Values<typeof COMMON>
  names: string[]
}

/** The values of a command's options and its other arguments. */
export function parse(command: Command, args: readonly string[]): Parsed {
  const options: Options = { ...command.options, ...COMMON }
  const known = Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple, default: fallback }]) => [
      name,
      { type, ...(short !== undefined && { short }), ...(multiple === true && { multiple }), ...(fallback !== undefined && { default: fallback }) },
    ])
  )
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: known, allowPositionals: true })
    if (values.help !== true) checkCount(command, positionals)
    return { values: values as Parsed['values'], names: positionals }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code?.startsWith('ERR_PARSE_ARGS') !== true) throw error
    const [line = ''] = message.split(/\.?\n|\. /)
    const [, option] = /^Option '(?:-\w, )?(--[\w-]+)[^']*' argument is ambiguous/.exec(line) ?? []
    throw usageError(option === undefined ? line : `${option} wants a value; one that begins with a dash is given as ${option}=VALUE`)
  }
}

function checkCount({ usage, names: [least, most] }: Command, names: readonly string[]): void {
  if (names.length < least) throw usageError(`something is missing: ${usage}`)
  if (names.length > most) throw usageError(`${JSON.stringify(names[most])} is too much: ${usage}`)
}

/** The number that an option was given. */
export function numberOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= least && value <= most) return value
  throw usageError(`--${name} takes a number from ${least} to ${most}, not ${JSON.stringify(text)}`)
}

/** The whole number that an option was given. */
export function integerOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw usageError(`--${name} takes a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`)
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1 << 10, m: 1 << 20, g: 1 << 30, t: 2 ** 40 }

/** The bytes that an option was given: `65536`, `64k`, `64KiB`, `1.5G`. */
export function bytesOf(name: string, text: string, least: number, most: number): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text) ?? []
  const value = Math.round(Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN))
  if (digits !== '' && value >= least && value <= most) return value
  throw usageError(`--${name} takes bytes, like 65536 or 64k or 1.5G, from ${least} to ${most}, not ${JSON.stringify(text)}`)
}
