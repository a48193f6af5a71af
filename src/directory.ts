import { shown, typeError } from './arguments.js'
import { MemlaneError } from './errors.js'
import { checkInfo } from './info.js'
import type { EndpointInfo, PeerInfo } from './options.js'

/** Options of a directory's `lookup`. */
export interface LookupOptions {
  /** Fires when nobody waits for the answer any more. */
  signal?: AbortSignal | undefined
}

/**
 * A name that is announced.
 *
 * It is renewed until it is closed, or lost to another announcement of the same name: the last one has it.
 */
export interface Announcement extends AsyncDisposable {
  /** The name. */
  readonly name: string
  /** Resolves when another announcement was found to have the name; from then on nothing is renewed. Never rejects. */
  readonly lost: Promise<void>
  /**
   * Gives the name back, unless another announcement has it by now. Calling it again gives the same promise.
   *
   * It rejects when the directory cannot be told, with `ERR_DIRECTORY` from those of memlane.
   */
  close(): Promise<void>
}

/**
 * Where endpoints find each other by name.
 *
 * What it rejects with, a `MemlaneError` excepted, reaches the caller of `listen` and `connect` as the `cause` of an
 * `ERR_DIRECTORY`.
 */
export interface Directory {
  /**
   * Takes `name` for the endpoint of `info`, whoever had it. Resolves once a lookup finds it.
   *
   * @param name 1 to 255 bytes of UTF-8, no NUL, no lone surrogates
   * @param info what `endpointInfo()` gave; regions need not be kept, who connects asks for them
   */
  announce(name: string, info: EndpointInfo): Promise<Announcement>
  /** The endpoint that has `name`; `undefined` while nobody has. */
  lookup(name: string, options?: LookupOptions): Promise<PeerInfo | undefined>
}

/** A peer that is found by the name that it announced. */
export interface NamedTarget {
  /** The name: 1 to 255 bytes of UTF-8, no NUL, no lone surrogates. */
  name: string
}

export function checkDirectory(value: unknown): Directory {
  const directory = value as Partial<Directory> | null
  if (typeof directory?.announce !== 'function' || typeof directory.lookup !== 'function') {
    throw typeError('directory', 'a Directory, which has announce() and lookup()', value)
  }
  return value as Directory
}

/** What a directory keeps of an info, as text. Regions come and go; who connects asks for them. */
export function entryText(info: EndpointInfo): string {
  const { host, port, memlane } = info
  checkInfo({ host, port, memlane })
  return JSON.stringify({ host, port, memlane })
}

/** The failure of a directory as its callers get it. */
export function directoryError(operation: string, name: string, cause: unknown): MemlaneError {
  if (cause instanceof MemlaneError) return cause
  const why = cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : shown(cause)
  return new MemlaneError(`${operation} ${shown(name)}: the directory failed: ${why}`, {
    code: 'ERR_DIRECTORY',
    origin: 'transport',
    retryable: true,
    operation,
    cause,
  })
}

/** What an endpoint is told when another announcement has taken its name. */
export function lostNameError(name: string): MemlaneError {
  return new MemlaneError(`the name ${shown(name)} was taken by another announcement: whoever looks it up finds that`, {
    code: 'ERR_DIRECTORY',
    origin: 'remote',
    retryable: false,
    operation: 'announce',
  })
}
