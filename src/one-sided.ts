import {
  byteCount,
  bytesOf,
  checkName,
  checkOptions,
  checkRange,
  checkSignal,
  checkTag,
  checkTimeout,
  DEFAULT_TIMEOUT_MS,
  part,
  unknownOption,
  valueError,
  type Bytes,
  type OwnBytes,
} from './arguments.js'
import { abortedError } from './errors.js'
import { followed, type TransferFuture } from './future.js'
import { NotifiedWrite } from './notify.js'
import { Settled } from './operation.js'
import type { ReadIntoOptions, ReadOptions, WriteOptions } from './options.js'
import { checkStorable, MemoryRegion } from './region.js'
import type { Remote } from './remote.js'
import { BytesWrite, PrivateRead, READ, RegionTransfer, REST, ViewRead, WRITE } from './transfer.js'

const READ_OPTIONS = 'into, intoOffset, remoteOffset, length, timeoutMs, signal'
const WRITE_OPTIONS = 'remoteOffset, sourceOffset, length, notify, timeoutMs, signal'

/** `read` of a peer. */
export function startRead(
  remote: Remote,
  name: string,
  options: ReadOptions | ReadIntoOptions | undefined
): TransferFuture<OwnBytes | number> {
  let into: unknown
  let intoOffset = 0
  let remoteOffset = 0
  let length = REST
  let timeoutMs = DEFAULT_TIMEOUT_MS
  let signal: AbortSignal | undefined
  if (options !== undefined) {
    checkOptions(options)
    for (const key in options) {
      const value: unknown = options[key as keyof ReadOptions]
      // Comparing with literals is what makes this loop free: no list is searched, nothing is allocated.
      if (key === 'into') into = value
      else if (key === 'intoOffset') intoOffset = value === undefined ? 0 : byteCount(value, key)
      else if (key === 'remoteOffset') remoteOffset = value === undefined ? 0 : byteCount(value, key)
      else if (key === 'length') length = value === undefined ? REST : byteCount(value, key)
      else if (key === 'timeoutMs') timeoutMs = value === undefined ? DEFAULT_TIMEOUT_MS : checkTimeout(value)
      else if (key === 'signal') signal = value === undefined ? undefined : checkSignal(value)
      else throw unknownOption(key, READ_OPTIONS)
    }
  }
  if (into === undefined && intoOffset > 0) throw valueError('intoOffset is an offset in into, which is missing')
  remote.lifetime.use()
  const region = remote.regions.get(name)
  if (region === undefined) checkName(name)
  let view: Uint8Array | undefined
  if (into instanceof MemoryRegion) {
    checkRange(intoOffset, length === REST ? 0 : length, into.length, 'into')
    checkStorable(into, 'into')
  } else if (into !== undefined) {
    view = part(bytesOf(into, 'into'), intoOffset, length === REST ? undefined : length, 'into')
  }
  if (signal?.aborted === true) {
    return Settled.failed(abortedError('read', signal.reason, remote.label), { operation: 'read', peer: remote.label, region: name })
  }
  const transfer =
    view !== undefined
      ? new ViewRead(remote, name, remoteOffset, length, timeoutMs, view)
      : into !== undefined
        ? new RegionTransfer(remote, READ, name, remoteOffset, length, timeoutMs, into as MemoryRegion, intoOffset)
        : new PrivateRead(remote, name, remoteOffset, length, timeoutMs)
  return followed(transfer.start(region) as TransferFuture<OwnBytes | number>, signal)
}

/** `write` of a peer. */
export function startWrite(
  remote: Remote,
  name: string,
  source: MemoryRegion | Bytes,
  options: WriteOptions | undefined
): TransferFuture<number> {
  let remoteOffset = 0
  let sourceOffset = 0
  let length: number | undefined
  let notify: number | undefined
  let timeoutMs = DEFAULT_TIMEOUT_MS
  let signal: AbortSignal | undefined
  if (options !== undefined) {
    checkOptions(options)
    for (const key in options) {
      const value: unknown = options[key as keyof WriteOptions]
      if (key === 'remoteOffset') remoteOffset = value === undefined ? 0 : byteCount(value, key)
      else if (key === 'sourceOffset') sourceOffset = value === undefined ? 0 : byteCount(value, key)
      else if (key === 'length') length = value === undefined ? undefined : byteCount(value, key)
      else if (key === 'notify') notify = value === undefined ? undefined : checkTag(value, key)
      else if (key === 'timeoutMs') timeoutMs = value === undefined ? DEFAULT_TIMEOUT_MS : checkTimeout(value)
      else if (key === 'signal') signal = value === undefined ? undefined : checkSignal(value)
      else throw unknownOption(key, WRITE_OPTIONS)
    }
  }
  remote.lifetime.use()
  const region = remote.regions.get(name)
  if (region === undefined) checkName(name)
  let transfer: RegionTransfer | BytesWrite | NotifiedWrite
  if (source instanceof MemoryRegion) {
    const count = length ?? Math.max(0, source.length - sourceOffset)
    checkRange(sourceOffset, count, source.length, 'the source')
    transfer =
      notify === undefined
        ? new RegionTransfer(remote, WRITE, name, remoteOffset, count, timeoutMs, source, sourceOffset)
        : new NotifiedWrite(remote, name, remoteOffset, count, timeoutMs, notify, source, sourceOffset)
  } else {
    const bytes = part(bytesOf(source, 'source'), sourceOffset, length, 'the source')
    transfer =
      notify === undefined
        ? new BytesWrite(remote, name, remoteOffset, timeoutMs, bytes)
        : new NotifiedWrite(remote, name, remoteOffset, bytes.byteLength, timeoutMs, notify, bytes, 0)
  }
  if (signal?.aborted === true) {
    return Settled.failed(abortedError('write', signal.reason, remote.label), { operation: 'write', peer: remote.label, region: name })
  }
  return followed(transfer.start(region), signal)
}
