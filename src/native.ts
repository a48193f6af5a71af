import type { Allowance } from './rights.js'
import type { CheckedSecurity } from './security.js'
import type { CheckedTls } from './tls.js'
import { checkFunctions, checkVersion, unloadable } from './unloadable.js'

/** What `attach` gives: this environment's number, and the memory that `drain` writes records into. */
export interface Attachment {
  id: number
  /** 1,024 records of three doubles: operation, state, value. */
  records: ArrayBuffer
  /** Nine doubles: 1 when there is an order, and its operation, peer, opcode, region, offset in it, remote address, length, timeout. */
  order: ArrayBuffer
}

/** What is worth more than one number about an operation that succeeded. */
export interface Detail {
  text?: string
  messageBytes?: number
  tag?: number | bigint
  from?: string
  instance?: string
  truncated?: boolean
}

/** Why an operation failed, as numbers and names; {@link MemlaneError} is made from it. */
export interface Failure {
  code: string
  message: string
  peer?: string
  operation?: string
  origin: string
  retryable: boolean
  outcome?: string
  /** Index of the entry of a list that failed. */
  entry?: number
  /** The system's number for the error beneath. */
  errno?: number
}

/** A region's handle and address, or why there is none. */
export interface Allocated {
  handle: number
  address: number
  length: number
  /** Whether its bytes can go: they are of a file that is not sealed. */
  shrinks: boolean
  failure?: Failure
}

/** A context's handle, or why there is none. */
export interface Made {
  handle: number
  failure?: Failure
}

/** An event of an endpoint: a peer that came, one that went (with `reason`), or a failure. */
export interface EventRecord {
  address?: string
  wire?: string
  direction?: string
  instance?: string
  reason?: string
  failure?: Failure
}

/** One row of the engine's error table. */
export interface ErrorRow {
  code: string
  kind: string
  status?: number
  origin: string
  retryable: boolean
  text: string
}

/** One row of the engine's table of limits. */
export interface LimitRow {
  name: string
  default: number
  least: number
  most: number
}

/** What statistics are asked of; it outlives the close of what it tells of. */
export type Figures = object

/**
 * The engine as JavaScript drives it: numbers down, records back.
 *
 * Handles and operations are numbers. Nothing here checks an argument for the caller's sake: that is the work of
 * `arguments.ts`, in the caller's own stack. A failed operation is a record, never an exception.
 */
export interface Native {
  attach(onWake: () => void): Attachment
  drain(at: number): number
  detail(at: number, op: number): Detail
  failure(at: number, op: number): Failure
  /** Starts the log of the process, at the first call; tells what is wrong with `filter`. */
  startLog(filter: string): string | null
  errorTable(): ErrorRow[]
  limitTable(): LimitRow[]

  context(at: number, limits?: Record<string, number>, security?: CheckedSecurity): Made
  /** What is wrong with the credentials, if anything is. */
  contextTls(at: number, context: number, tls: CheckedTls): string | null
  closeContext(at: number, context: number): void
  endpoint(at: number, context: number): number
  listen(at: number, op: number, endpoint: number, host: string, port: number): void
  /** The same for the context of an endpoint. */
  endpointTls(at: number, endpoint: number, tls: CheckedTls): string | null
  localAddress(at: number, endpoint: number, address: string): void
  advertise(at: number, endpoint: number, host: string, port?: number): void
  address(at: number, endpoint: number): { host: string; port: number } | null
  /** With `token` as a peer is told it that came with the token of that name. */
  endpointInfo(at: number, endpoint: number, token?: string): string | null
  /** `drainMs` below 0 is what the limits say. */
  closeEndpoint(at: number, op: number, endpoint: number, drainMs: number): void

  contextFigures(at: number, context: number): Figures | null
  endpointFigures(at: number, endpoint: number): Figures | null
  peerFigures(at: number, peer: number): Figures | null
  regionFigures(at: number, region: number): Figures | null
  stats(figures: Figures): string

  endpointEvents(at: number, endpoint: number): number
  watchEvents(at: number, op: number, events: number): void
  takeEvents(at: number, events: number): { events: EventRecord[]; lost: number }
  unwatchEvents(at: number, events: number): void

  /** `bytes`, of a tensor alone, are in it before anybody can reach it. */
  alloc(
    at: number,
    endpoint: number,
    name: string,
    length: number,
    access: string,
    allow?: Allowance[],
    dtype?: string,
    shape?: number[],
    bytes?: Uint8Array
  ): Allocated
  /** A length below 0 is all from the offset to the end of the file. */
  mapFile(
    at: number,
    endpoint: number,
    name: string,
    fd: number,
    offset: number,
    length: number,
    access: string,
    allow?: Allowance[],
    dtype?: string,
    shape?: number[]
  ): Allocated
  regionBuffer(at: number, region: number): ArrayBuffer
  copyOut(at: number, region: number, offset: number, into: Uint8Array): Failure | null
  /** `drainMs` as for `closeEndpoint`. */
  closeRegion(at: number, op: number, region: number, drainMs: number): void

  connect(
    at: number,
    op: number,
    endpoint: number,
    host: string,
    port: number,
    legacy: boolean,
    timeoutMs: number
  ): number
  /** `neededBy`: a read (1) or a write (2) that a failure tells of; 0 is nobody but itself. */
  describe(at: number, op: number, peer: number, timeoutMs: number, neededBy: 0 | 1 | 2): void
  identify(at: number, peer: number, instance: string): void
  closePeer(at: number, op: number, peer: number): void

  /** Carries out the order that was written just now: a region below 0 is private memory, kept under the operation. */
  transfer(): void
  writeBytes(at: number, op: number, peer: number, address: number, view: Uint8Array, timeoutMs: number): void
  sendBytes(at: number, op: number, peer: number, view: Uint8Array, tag: number, timeoutMs: number): void
  sendRegion(
    at: number,
    op: number,
    peer: number,
    region: number,
    offset: number,
    length: number,
    tag: number,
    timeoutMs: number
  ): void
  recvRegion(
    at: number,
    op: number,
    endpoint: number,
    region: number,
    offset: number,
    length: number,
    tag: number,
    exactSize: boolean,
    /** A peer; below 0 is anybody. */
    from: number
  ): void
  recvStaged(
    at: number,
    op: number,
    endpoint: number,
    length: number,
    tag: number,
    exactSize: boolean,
    from: number
  ): void

  /** False when there is no memory for it, or no room: the operation has ended with the reason. */
  stageBytes(at: number, op: number, peer: number, opcode: number, length: number): boolean
  stageIn(at: number, op: number, offset: number, view: Uint8Array): void
  stageOut(at: number, op: number, offset: number, view: Uint8Array): void
  writeNotify(
    at: number,
    op: number,
    peer: number,
    region: number,
    regionOffset: number,
    address: number,
    length: number,
    tag: number,
    timeoutMs: number
  ): void
  /** Four numbers an entry: region (below 0 the memory staged under `op`), offset in it, remote address, length. */
  transferList(at: number, op: number, peer: number, opcode: number, entries: Float64Array, timeoutMs: number): void

  /** The number of the announcement. */
  announce(at: number, name: string, text: string): number
  isAnnounced(at: number, announcement: number): boolean
  withdraw(at: number, announcement: number): void
  lookup(name: string): string | null

  take(at: number, op: number): ArrayBuffer
  takeInto(at: number, op: number, view: Uint8Array): number
  discard(at: number, op: number): void
  /** `peer` is the one that `op` was issued to; below 0 all of them are asked. */
  cancel(at: number, op: number, peer: number): void
  cancelReceive(at: number, op: number, endpoint: number): void
  waitSync(at: number, op: number, milliseconds: number): boolean
}

function load(): Native {
  let loaded: Native
  try {
    // Two levels up from dist/src: the loader that `napi build` writes lies in the package root.
    loaded = require('../../native.js') as Native
  } catch (error) {
    throw unloadable(error)
  }
  checkVersion()
  checkFunctions(loaded)
  return loaded
}

/** The engine, loaded once per environment. */
export const native: Native = load()
