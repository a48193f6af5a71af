import type { Failure } from './native.js'

/** Codes of the engine's own table, in its order. */
export const ENGINE_ERROR_CODES = [
  'ERR_TIMEOUT',
  'ERR_ABORTED',
  'ERR_PEER_CLOSED',
  'ERR_CONNECT',
  'ERR_REGION_NOT_FOUND',
  'ERR_OUT_OF_RANGE',
  'ERR_ACCESS',
  'ERR_MESSAGE_SIZE',
  'ERR_NO_RECEIVE',
  'ERR_LIMIT',
  'ERR_PROTOCOL',
  'ERR_AUTH',
  'ERR_TLS',
  'ERR_CLOSED',
  'ERR_LISTEN',
  'ERR_INSECURE_BIND',
  'ERR_REGION_EXISTS',
  'ERR_INVALID_NAME',
  'ERR_MEMORY',
  'ERR_FILE',
  'ERR_INTERNAL',
] as const

/** Every code that a {@link MemlaneError} carries; the last four arise on this side of the engine. */
export const ERROR_CODES = [...ENGINE_ERROR_CODES, 'ERR_TENSOR', 'ERR_UNSAFE_MEMORY', 'ERR_NATIVE_BINDING', 'ERR_DIRECTORY'] as const

/** The code of a {@link MemlaneError}. docs/errors.md says for each what happened and what to do. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** Every code that a wrong argument's `TypeError` or `RangeError` carries. */
export const ARGUMENT_ERROR_CODES = [
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_OUT_OF_RANGE',
  'ERR_ILLEGAL_CONSTRUCTOR',
] as const

/** The `code` of the `TypeError` or `RangeError` that a wrong argument throws. */
export type ArgumentErrorCode = (typeof ARGUMENT_ERROR_CODES)[number]

/** Where a failure arose: in this process, at the peer (which said so), or on the way between. */
export type ErrorOrigin = 'local' | 'remote' | 'transport'

/** What a {@link MemlaneError} is made of, beside its message. */
export interface MemlaneErrorInit {
  /** What happened. */
  code: ErrorCode
  /** Where it happened. */
  origin: ErrorOrigin
  /** Whether the same call may succeed later. */
  retryable: boolean
  /** The peer as `host:port`. */
  peer?: string | undefined
  /** What was being done. */
  operation?: string | undefined
  /** Whether it is unknown if the peer has applied the request. */
  outcome?: 'unknown' | undefined
  /** Index of the entry of a batch that failed. */
  entry?: number | undefined
  /** The error or reason beneath. */
  cause?: unknown
}

/**
 * A failed operation: `code` says what happened, the other fields say where and to whom.
 *
 * Wrong arguments are not of this class: they throw a `TypeError` or `RangeError` at the call, with a `code` of
 * {@link ArgumentErrorCode}.
 */
export class MemlaneError extends Error {
  /** What happened. Branch on this, never on the message. */
  readonly code: ErrorCode
  /** Where it happened. */
  readonly origin: ErrorOrigin
  /** Whether the same call may succeed later without any change to it. */
  readonly retryable: boolean
  /** The peer as `host:port`, where one was involved. */
  declare readonly peer?: string
  /** What was being done: `read`, `write`, `send`, `recv`, `connect`, … */
  declare readonly operation?: string
  /** `'unknown'` when the request may or may not have been applied at the peer. */
  declare readonly outcome?: 'unknown'
  /** Index of the entry that failed, the first to do so, where the operation was a batch and its failure one entry's. */
  declare readonly entry?: number

  /** An error with the fields of `init`, for tests and for programs that pass failures on. */
  constructor(message: string, init: MemlaneErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.code = init.code
    this.origin = init.origin
    this.retryable = init.retryable
    if (init.peer !== undefined) this.peer = init.peer
    if (init.operation !== undefined) this.operation = init.operation
    if (init.outcome !== undefined) this.outcome = init.outcome
    if (init.entry !== undefined) this.entry = init.entry
  }

  static {
    // On the prototype, where it is not one more own property to print.
    Object.defineProperty(this.prototype, 'name', { value: 'MemlaneError', writable: true, configurable: true })
  }
}

/** The error for the engine's account of a failure; `overrides` is what JavaScript knows better. */
export function fromFailure(failure: Failure, overrides?: Partial<MemlaneErrorInit>): MemlaneError {
  return new MemlaneError(failure.message, {
    peer: failure.peer,
    operation: failure.operation,
    retryable: failure.retryable,
    // The engine's names and these types hold the same ones; a test compares them.
    code: failure.code as ErrorCode,
    origin: failure.origin as ErrorOrigin,
    outcome: failure.outcome as 'unknown' | undefined,
    entry: failure.entry,
    ...overrides,
  })
}

/** The error of a class that is not made by hand. */
export function illegalConstructor(name: string, how: string): TypeError {
  return Object.assign(new TypeError(`a ${name} is not made with new: use ${how}`), { code: 'ERR_ILLEGAL_CONSTRUCTOR' })
}

/** The error of a call on something that was closed. */
export function closedError(what: string): MemlaneError {
  return new MemlaneError(`this ${what} is closed`, { code: 'ERR_CLOSED', origin: 'local', retryable: false })
}

/** The error of an operation that its own caller gave up. */
export function abortedError(operation: string, cause: unknown, peer?: string): MemlaneError {
  const whose = peer === undefined ? '' : ` ${operation === 'read' ? 'from' : 'to'} ${peer}`
  return new MemlaneError(`the ${operation}${whose} was cancelled`, {
    code: 'ERR_ABORTED',
    origin: 'local',
    retryable: false,
    peer,
    operation,
    cause,
  })
}

/** The error of memory that JavaScript could take away, or has taken away, from under the engine. */
export function unsafeMemoryError(message: string, entry?: number): MemlaneError {
  return new MemlaneError(message, { code: 'ERR_UNSAFE_MEMORY', origin: 'local', retryable: false, entry })
}
