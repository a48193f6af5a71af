import { channel } from 'node:diagnostics_channel'
import { tensorBytes, type Tensor } from './tensor.js'

/**
 * The names of the channels of `node:diagnostics_channel` on which every operation is told: one `start`, then one `end` or one
 * `error`, each with the same {@link OperationMessage}.
 */
export const DIAGNOSTICS_CHANNELS = Object.freeze({
  /** An operation is about to be handed over. Published in its call, so that the caller's `AsyncLocalStorage` holds. */
  start: 'memlane:operation:start',
  /** An operation has succeeded. */
  end: 'memlane:operation:end',
  /** An operation has failed, or was given up. */
  error: 'memlane:operation:error',
} as const)

/** What is known of an operation before it starts. */
export interface OperationSubject {
  /** The method that was called: of a prepared batch, the one whose work it does. */
  readonly operation:
    | 'listen'
    | 'connect'
    | 'refresh'
    | 'read'
    | 'readTensor'
    | 'write'
    | 'readBatch'
    | 'writeBatch'
    | 'send'
    | 'recv'
    | 'close'
  /** What is closed, where the operation is `close`. */
  readonly closes?: 'region' | 'peer' | 'endpoint' | 'context'
  /** The peer as `host:port`; of a receive that has succeeded, the sender. */
  peer?: string
  /** The region at the peer; of a receive or a close, the one of this process. */
  readonly region?: string | undefined
  /** Bytes to be moved, where the caller has said it, and room of a receive; when it has succeeded, bytes moved. */
  bytes?: number | undefined
  /** Of a message, or of a write's notification. */
  tag?: number | bigint | undefined
  /** Entries of a batch. */
  readonly entries?: number
}

/** The message of the channels in {@link DIAGNOSTICS_CHANNELS}: the same object from the start of an operation to its end. */
export interface OperationMessage extends OperationSubject {
  /** When it was started, as `performance.now()` tells it. */
  readonly startTime: number
  /** Milliseconds from start to end; absent before that. */
  durationMs?: number
  /** What it has failed with. */
  error?: Error
}

/** What has operations that are told. */
export interface Traceable {
  /** What is told of it when it starts; nothing, for what no user has called. */
  about(): OperationSubject | undefined
}

const start = channel(DIAGNOSTICS_CHANNELS.start)
const end = channel(DIAGNOSTICS_CHANNELS.end)
const failed = channel(DIAGNOSTICS_CHANNELS.error)

/** Whether anybody listens. */
export function isTraced(): boolean {
  return start.hasSubscribers || end.hasSubscribers || failed.hasSubscribers
}

/** Tells a start. Subscribers run now: take nothing before this that must not wait. */
export function tellStart(subject: OperationSubject): OperationMessage {
  const message: OperationMessage = { ...subject, startTime: performance.now() }
  start.publish(message)
  return message
}

/** Tells an end, behind the completions of this turn: subscribers are user code, and may well start or await something. */
export function tellEnd(message: OperationMessage, result: unknown): void {
  message.durationMs = performance.now() - message.startTime
  if (typeof result === 'number') message.bytes = result
  else if (result instanceof Uint8Array) message.bytes = result.byteLength
  else if (message.operation === 'readTensor') message.bytes = tensorBytes(result as Tensor)
  else if (message.operation === 'recv') {
    const { bytes, from, tag } = result as { bytes: number; from: string; tag: number | bigint }
    Object.assign(message, { bytes, peer: from, tag })
  }
  queueMicrotask(() => end.publish(message))
}

/** Tells a failure, as {@link tellEnd} tells an end. */
export function tellError(message: OperationMessage, error: Error): void {
  message.durationMs = performance.now() - message.startTime
  message.error = error
  queueMicrotask(() => failed.publish(message))
}
