import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { getSystemErrorName } from 'node:util'
import { byteCount, checkBoolean, checkKeys, checkName, checkSignal, typeError, valueError } from './arguments.js'
import { attached } from './completions.js'
import { abortedError, closedError, fromFailure, MemlaneError } from './errors.js'
import type { Lifetime } from './lifetime.js'
import { native, type Failure } from './native.js'
import type { MapFileOptions } from './options.js'
import { makeRegion, type MemoryRegion } from './region.js'
import { checkRights } from './rights.js'
import { checkTensor } from './tensor.js'

/** Not said: all from the offset to the end of the file. */
const REST = -1

/** What a view of JavaScript needs: the elements of every typed array are aligned in memory if the buffer is. */
const ALIGNMENT = 8

function checkPath(value: unknown): string | URL | Buffer {
  if (typeof value === 'string' || Buffer.isBuffer(value)) {
    if (value.length === 0 || value.includes('\0')) throw valueError('path must not be empty, and has no NUL')
    return value
  }
  // By its shape: another realm has a URL of its own.
  const url = value as Partial<URL> | null
  if (typeof url !== 'object' || typeof url?.href !== 'string') throw typeError('path', 'a string, a Buffer or a URL', value)
  if (url.protocol !== 'file:') throw valueError(`path must be a file: URL; got ${JSON.stringify(url.protocol)}`)
  return new URL(url.href)
}

/** The error of the system beneath a failure of the engine's, as `fs` would have made it. */
function systemError({ errno, message }: Failure): Error | undefined {
  if (errno === undefined) return undefined
  return Object.assign(new Error(message), { errno: -errno, code: getSystemErrorName(-errno), syscall: 'mmap' })
}

/** Checks what `endpoint.mapFile` is given, then opens and maps. */
export function mapFile(
  endpoint: Lifetime,
  tokens: readonly string[],
  givenName: string,
  givenPath: string | URL | Buffer,
  options: MapFileOptions = {}
): Promise<MemoryRegion> {
  const name = checkName(givenName)
  const path = checkPath(givenPath)
  checkKeys(options, ['access', 'allow', 'offset', 'length', 'dtype', 'shape', 'unsafeBuffer', 'signal'])
  const { access, allow } = checkRights(options, 'read', tokens)
  const offset = options.offset === undefined ? 0 : byteCount(options.offset, 'offset')
  const isTensor = options.dtype !== undefined || options.shape !== undefined
  const tensor = isTensor ? checkTensor(options.dtype, options.shape) : undefined
  if (isTensor && options.length !== undefined) throw valueError('length follows from dtype and shape: leave it out')
  const length = tensor?.length ?? (options.length === undefined ? REST : byteCount(options.length, 'length', 1))
  const unsafeBuffer = options.unsafeBuffer !== undefined && checkBoolean(options.unsafeBuffer, 'unsafeBuffer')
  const signal = options.signal === undefined ? undefined : checkSignal(options.signal)
  endpoint.use()

  const check = (): void => {
    if (signal?.aborted === true) throw abortedError('mapFile', signal.reason)
    if (endpoint.closed) throw closedError('endpoint')
  }
  const map = ({ fd }: FileHandle): MemoryRegion => {
    const shape = tensor === undefined ? undefined : [...tensor.shape]
    const made = native.mapFile(attached(), endpoint.use(), name, fd, offset, length, access, allow, tensor?.dtype, shape)
    if (made.failure !== undefined) {
      const cause = systemError(made.failure)
      const { failure } = made
      // Those of the name are not about the file.
      const message = failure.code === 'ERR_FILE' ? `mapFile ${JSON.stringify(String(path))}: ${failure.message}` : failure.message
      throw fromFailure({ ...failure, message }, cause === undefined ? undefined : { cause })
    }
    const refusal = made.shrinks
      ? unsafeBuffer
        ? undefined
        : 'its file may be truncated by anybody who may write it, and touching bytes that are gone ends the process'
      : undefined
    return makeRegion(made.handle, endpoint, name, made.address, made.length, access, {
      tensor,
      allow,
      isStorable: access !== 'read',
      refusal: offset % ALIGNMENT === 0 ? refusal : `its offset in the file, ${offset}, is no multiple of ${ALIGNMENT}`,
    })
  }
  return openAndMap(path, access === 'read', check, map)
}

async function openAndMap(
  path: string | URL | Buffer,
  isReadOnly: boolean,
  check: () => void,
  map: (file: FileHandle) => MemoryRegion
): Promise<MemoryRegion> {
  check()
  // Without O_NONBLOCK the open of a pipe would wait for somebody at its other end; to a file it means nothing.
  const flags = (isReadOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK
  const file = await open(path, flags).catch((cause: Error) => {
    throw new MemlaneError(`mapFile: ${cause.message}`, {
      code: 'ERR_FILE',
      origin: 'local',
      retryable: false,
      cause,
    })
  })
  let region: MemoryRegion
  try {
    check()
    region = map(file)
  } finally {
    await file.close()
  }
  try {
    check()
  } catch (error) {
    await region.close()
    throw error
  }
  return region
}
