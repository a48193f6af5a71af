import { isIP } from 'node:net'
import { types } from 'node:util'
import { unsafeMemoryError, type ArgumentErrorCode } from './errors.js'

/** A safe integer, or a bigint that is one. */
export type Integer = number | bigint

/** Memory of JavaScript: any view, or a whole buffer. */
export type Bytes = ArrayBufferView | ArrayBuffer | SharedArrayBuffer

/**
 * A `Uint8Array` over an `ArrayBuffer`, which is not shared: what `fetch` and `crypto.subtle` take. TypeScript before 5.7 has one type
 * for both.
 */
export type OwnBytes = ReturnType<Uint8ArrayConstructor['of']>

/** Deadline of an operation whose caller did not say one. */
export const DEFAULT_TIMEOUT_MS = 30_000
const MAX_TIMEOUT_MS = 2 ** 31 - 1
const MAX_NAME_BYTES = 255

function coded<E extends Error>(error: E, code: ArgumentErrorCode): E {
  return Object.defineProperty(error, 'code', { value: code, enumerable: true, writable: true, configurable: true })
}

/** What was given, short enough for a message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'symbol') return 'a symbol'
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) {
    const first = Array.from({ length: Math.min(value.length, 4) }, (_, index) => (Array.isArray(value[index]) ? 'an array' : shown(value[index])))
    return `[${[...first, ...(value.length > 4 ? ['…'] : [])].join(', ')}]`
  }
  // An object that came as JSON may have a `constructor` of its sender's choice.
  const maker: unknown = (value as { constructor?: unknown }).constructor
  return typeof maker === 'function' && maker.name !== '' ? `an instance of ${maker.name.slice(0, 40)}` : 'an object'
}

/** `what` is of the wrong type. */
export function typeError(what: string, expected: string, value: unknown): TypeError {
  return coded(new TypeError(`${what} must be ${expected}; got ${shown(value)}`), 'ERR_INVALID_ARG_TYPE')
}

/** `what` is of the right type and still makes no sense. */
export function valueError(message: string): TypeError {
  return coded(new TypeError(message), 'ERR_INVALID_ARG_VALUE')
}

/** A number is outside of its range. */
export function rangeError(message: string): RangeError {
  return coded(new RangeError(message), 'ERR_OUT_OF_RANGE')
}

/** `value` as a number from `min` to `max`, both included. `unit` is for the message. */
export function integer(value: unknown, what: string, min = 0, max = Number.MAX_SAFE_INTEGER, unit = ''): number {
  const type = typeof value
  if (type !== 'number' && type !== 'bigint') throw typeError(what, 'an integer', value)
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < min || number > max) {
    throw rangeError(`${what} must be an integer from ${min} to ${max}${unit}; got ${shown(value)}`)
  }
  return number
}

/** The same for a number of bytes. */
export function byteCount(value: unknown, what: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  return integer(value, what, min, max, ' bytes')
}

/** Refuses a range that leaves `size` bytes of `what`. */
export function checkRange(offset: number, length: number, size: number, what: string): void {
  // Not offset + length > size: both are safe integers, their sum need not be one.
  if (offset > size || length > size - offset) {
    throw rangeError(`offset ${offset} and length ${length} leave ${what}, which has ${size} bytes`)
  }
}

/** Milliseconds of a deadline; 0 is none. */
export function checkTimeout(value: unknown): number {
  return integer(value, 'timeoutMs', 0, MAX_TIMEOUT_MS, ' milliseconds')
}

/** Milliseconds of a wait given in seconds. */
export function checkSeconds(value: unknown): number {
  if (typeof value !== 'number') throw typeError('seconds', 'a number', value)
  const milliseconds = value * 1000
  if (!(milliseconds >= 0 && milliseconds <= MAX_TIMEOUT_MS)) {
    throw rangeError(`seconds must be a number from 0 to ${Math.floor(MAX_TIMEOUT_MS / 1000)} seconds; got ${value}`)
  }
  return milliseconds
}

/** A message's tag. */
export function checkTag(value: unknown, what = 'tag'): number {
  return integer(value, what)
}

export function checkBoolean(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw typeError(what, 'a boolean', value)
  return value
}

export function checkSignal(value: unknown): AbortSignal {
  // By its shape: another realm, as a test runner makes one, has an AbortSignal of its own.
  const signal = value as Partial<AbortSignal> | null
  if (
    typeof signal?.aborted !== 'boolean' ||
    typeof signal.addEventListener !== 'function' ||
    typeof signal.removeEventListener !== 'function'
  ) {
    throw typeError('signal', 'an AbortSignal', value)
  }
  return value as AbortSignal
}

export function checkHost(value: unknown, what = 'host'): string {
  if (typeof value !== 'string') throw typeError(what, 'a string', value)
  if (value === '' || value.length > 253 || /[\s\0/]/.test(value)) {
    throw valueError(`${what} must be an address or a host name; got ${shown(value)}`)
  }
  return value
}

/** An IP address of this machine, as a literal. Zones are left out: the engine has no names of interfaces. */
export function checkAddress(value: unknown, what: string): string {
  if (typeof value !== 'string') throw typeError(what, 'a string', value)
  if (isIP(value) === 0 || value.includes('%')) {
    throw valueError(`${what} must be an IPv4 or IPv6 address without a zone; got ${shown(value)}`)
  }
  return value
}

/** What nearly every name is, and what is seen fastest: a peer may list very many. */
const COMMON_NAME = /^[ -~]{1,255}$/

/** A region's name: 1 to 255 bytes of UTF-8 without NUL; the reason why not otherwise. */
export function nameFault(name: string): string | undefined {
  if (COMMON_NAME.test(name)) return undefined
  if (name === '') return 'is empty'
  if (name.includes('\0')) return 'contains NUL'
  if (/\p{Surrogate}/u.test(name)) return 'contains a lone surrogate, which UTF-8 cannot say'
  const bytes = name.length > MAX_NAME_BYTES ? name.length : Buffer.byteLength(name)
  if (bytes > MAX_NAME_BYTES) return `is longer than ${MAX_NAME_BYTES} bytes of UTF-8`
  return undefined
}

export function checkName(value: unknown): string {
  if (typeof value !== 'string') throw typeError('name', 'a string', value)
  const fault = nameFault(value)
  if (fault !== undefined) throw valueError(`the name ${shown(value)} ${fault}`)
  return value
}

/** An options object; `undefined` is an empty one. */
export function checkOptions(value: unknown): void {
  if (value !== undefined && (typeof value !== 'object' || value === null)) {
    throw typeError('options', 'an object', value)
  }
}

/** The error for an option that is not one. */
export function unknownOption(key: string, known: string): TypeError {
  return valueError(`there is no option ${shown(key)} here; ${known === '' ? 'it takes no options' : `the options are ${known}`}`)
}

/** Refuses every key of `options` but `known`. */
export function checkKeys(options: object | undefined, known: readonly string[]): void {
  checkOptions(options)
  for (const key in options) {
    if (!known.includes(key)) throw unknownOption(key, known.join(', '))
  }
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    void new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}

const trueByteLength = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'byteLength')?.get as (this: Uint8Array) => number

/** The length of a typed array, whatever properties it was given. */
export const trueLength = (array: Uint8Array): number => trueByteLength.call(array)

/**
 * The bytes of `value`, not copied.
 *
 * Refuses what the engine could not rely on for the length of one call: a resizable buffer can shrink, a detached one has
 * nothing. A SharedArrayBuffer can do neither.
 */
export function bytesOf(value: unknown, what: string): Uint8Array {
  let buffer: ArrayBufferLike
  if (ArrayBuffer.isView(value)) buffer = value.buffer
  else if (types.isAnyArrayBuffer(value)) buffer = value
  else {
    throw typeError(what, 'a typed array, a DataView, an ArrayBuffer, a SharedArrayBuffer or a MemoryRegion', value)
  }
  if ((buffer as { resizable?: boolean }).resizable === true) {
    throw unsafeMemoryError(`${what} is a resizable ArrayBuffer: it could shrink under the transfer. Use one of fixed length`)
  }
  // Zero bytes are the only sign of detachment that all supported versions of Node give.
  if (buffer.byteLength === 0 && isDetached(buffer)) throw unsafeMemoryError(`${what} is detached`)
  if (value instanceof Uint8Array) return value
  return ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(buffer)
}

/** `length` bytes of `bytes` from `offset`; the rest of it when `length` is undefined. */
export function part(bytes: Uint8Array, offset: number, length: number | undefined, what: string): Uint8Array {
  checkRange(offset, length ?? 0, bytes.byteLength, what)
  if (offset === 0 && (length === undefined || length === bytes.byteLength)) return bytes
  return new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length ?? bytes.byteLength - offset)
}
