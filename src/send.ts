import {
  byteCount,
  bytesOf,
  checkOptions,
  checkRange,
  checkSignal,
  checkTag,
  checkTimeout,
  DEFAULT_TIMEOUT_MS,
  part,
  unknownOption,
  type Bytes,
} from './arguments.js'
import { attached } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { abortedError } from './errors.js'
import { awaitedAsPromise, begin, followed, fulfil, type TransferFuture } from './future.js'
import { native } from './native.js'
import { Operation, Settled } from './operation.js'
import type { SendOptions } from './options.js'
import { MemoryRegion, regionHandle } from './region.js'
import type { Remote } from './remote.js'

const SEND_OPTIONS = 'tag, sourceOffset, length, timeoutMs, signal'

/** A message under way; its result is the number of bytes sent. */
class Send extends Operation<number> {
  static {
    awaitedAsPromise(this)
  }

  readonly #remote: Remote
  readonly #peer: number
  readonly #bytes: number
  readonly #tag: number

  private constructor(remote: Remote, peer: number, bytes: number, tag: number) {
    super()
    this.#remote = remote
    this.#peer = peer
    this.#bytes = bytes
    this.#tag = tag
  }

  static bytes(remote: Remote, bytes: Uint8Array, tag: number, timeoutMs: number): Send {
    const peer = remote.lifetime.use()
    const send = new Send(remote, peer, bytes.byteLength, tag)
    native.sendBytes(attached(), begin(send), peer, bytes, tag, timeoutMs)
    return send
  }

  static region(
    remote: Remote,
    region: MemoryRegion,
    offset: number,
    length: number,
    tag: number,
    timeoutMs: number
  ): Send {
    const peer = remote.lifetime.use()
    const send = new Send(remote, peer, length, tag)
    const handle = regionHandle(region)
    native.sendRegion(attached(), begin(send), peer, handle, offset, length, tag, timeoutMs)
    return send
  }

  about(): OperationSubject {
    return { operation: 'send', peer: this.#remote.label, bytes: this.#bytes, tag: this.#tag }
  }

  protected override get peer(): number {
    return this.#peer
  }

  protected override succeeded(_op: number, value: number): void {
    fulfil(this, value)
  }
}

/** `send` of a peer. */
export function startSend(
  remote: Remote,
  source: MemoryRegion | Bytes,
  options: SendOptions | undefined
): TransferFuture<number> {
  let tag = 0
  let sourceOffset = 0
  let length: number | undefined
  let timeoutMs = DEFAULT_TIMEOUT_MS
  let signal: AbortSignal | undefined
  if (options !== undefined) {
    checkOptions(options)
    for (const key in options) {
      const value: unknown = options[key as keyof SendOptions]
      if (key === 'tag') tag = value === undefined ? 0 : checkTag(value)
      else if (key === 'sourceOffset') sourceOffset = value === undefined ? 0 : byteCount(value, key)
      else if (key === 'length') length = value === undefined ? undefined : byteCount(value, key)
      else if (key === 'timeoutMs') timeoutMs = value === undefined ? DEFAULT_TIMEOUT_MS : checkTimeout(value)
      else if (key === 'signal') signal = value === undefined ? undefined : checkSignal(value)
      else throw unknownOption(key, SEND_OPTIONS)
    }
  }
  remote.lifetime.use()
  const isRegion = source instanceof MemoryRegion
  const bytes = isRegion ? undefined : part(bytesOf(source, 'source'), sourceOffset, length, 'the source')
  const count = length ?? (isRegion ? Math.max(0, source.length - sourceOffset) : 0)
  if (isRegion) checkRange(sourceOffset, count, source.length, 'the source')
  if (signal?.aborted === true) {
    return Settled.failed(abortedError('send', signal.reason, remote.label), { operation: 'send', peer: remote.label, tag })
  }
  const send =
    bytes === undefined
      ? Send.region(remote, source as MemoryRegion, sourceOffset, count, tag, timeoutMs)
      : Send.bytes(remote, bytes, tag, timeoutMs)
  return followed(send, signal)
}
