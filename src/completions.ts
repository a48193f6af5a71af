import * as timers from 'node:timers'
import { native } from './native.js'

// As they were at the start: a test's own timers must not hold up what the engine has ended.
const { clearImmediate, setImmediate, setInterval } = timers

/** Record states. */
export const FAILED = 2

/** Records per `drain`, and per turn of the event loop: sockets and timers get their share of a flood. */
const RECORDS_PER_TURN = 1024
const FIELDS = 3

/** Whoever waits for the one record of an operation. Runs no user code and never throws. */
export interface Completion {
  /** `op` is free for another operation from now on: fetch its detail, failure or bytes before issuing one. */
  complete(op: number, state: number, value: number): void
  /** Asks the engine to end `op` early; its record still comes. */
  giveUp(op: number): void
  /**
   * Blocks until there is something to be fetched that it waits for, or its end has come; false when `milliseconds` passed
   * before. Undefined where that is the record of its own operation, which the engine knows.
   */
  block?(milliseconds: number): boolean | undefined
}

const slots: (Completion | undefined)[] = []
const free: number[] = []
let pending = 0
let next: NodeJS.Immediate | undefined

let at = -1
let records: Float64Array | undefined
let order: Float64Array | undefined

// The engine's wake-up is unref'd, so that idle endpoints let the process end. One timer that is never due holds it
// while anything is pending: ref and unref cost one flag, a timer per operation would cost a heap entry each.
const FAR_MS = 2 ** 31 - 1
const keepAlive = setInterval(() => undefined, FAR_MS).unref()

/** This environment's number at the engine; attaches on first use. */
export function attached(): number {
  if (at === -1) {
    startLog()
    const attachment = native.attach(turn)
    records = new Float64Array(attachment.records)
    order = new Float64Array(attachment.order)
    at = attachment.id
  }
  return at
}

/** Starts the engine's log, if the environment asks for it. The process has one, whoever asks first. */
function startLog(): void {
  const filter = process.env.MEMLANE_LOG
  if (filter === undefined || filter === '') return
  const wrong = native.startLog(filter)
  if (wrong !== null) {
    process.emitWarning(
      `MEMLANE_LOG: "${wrong}" is no level. It has off, error, warn, info, debug or trace, and may have others for parts of ` +
        `the engine: MEMLANE_LOG=warn,session=debug`,
      'MemlaneWarning'
    )
  }
}

/** A slot for an operation that is about to be issued; its number is the operation's. Holds the process open. */
export function admit(completion: Completion): number {
  hold()
  return slot(completion)
}

/** The same, but it does not hold the process. */
export function admitUnheld(completion: Completion): number {
  return slot({
    complete(op, state, value) {
      // Its record has been counted off as any other's.
      pending++
      completion.complete(op, state, value)
    },
    giveUp(op) {
      completion.giveUp(op)
    },
  })
}

function slot(completion: Completion): number {
  const op = free.pop() ?? slots.length
  slots[op] = completion
  return op
}

/** Gives back the slot of an operation that was never issued. */
export function retract(op: number): void {
  slots[op] = undefined
  free.push(op)
  release()
}

/** Holds the process open as a pending operation does, until {@link release}. */
export function hold(): void {
  if (pending++ === 0) keepAlive.ref()
}

/** Takes back one {@link hold}. */
export function release(): void {
  if (--pending === 0) keepAlive.unref()
}

/** Asks the engine to end the operation of a slot early. */
export function giveUp(op: number): void {
  slots[op]?.giveUp(op)
}

/** Blocks for the operation of a slot that the engine does not know yet; undefined where it does. */
export function block(op: number, milliseconds: number): boolean | undefined {
  return slots[op]?.block?.(milliseconds)
}

/**
 * Hands over a read or write between a region here and one at a peer. Its numbers go through memory and not as arguments: that
 * costs a tenth of nine conversions.
 */
export function transfer(
  op: number,
  peer: number,
  opcode: number,
  region: number,
  regionOffset: number,
  address: number,
  length: number,
  timeoutMs: number
): void {
  // There since the peer was made.
  const to = order as Float64Array
  to[0] = 1
  to[1] = op
  to[2] = peer
  to[3] = opcode
  to[4] = region
  to[5] = regionOffset
  to[6] = address
  to[7] = length
  to[8] = timeoutMs
  native.transfer()
}

/** Hands over a read into private memory, which is kept under `op` until it is taken. */
export function readStaged(op: number, peer: number, address: number, length: number, timeoutMs: number): void {
  transfer(op, peer, 1, -1, 0, address, length, timeoutMs)
}

/** Completes what the engine has ended, at most one turn's worth; the rest follows by `setImmediate`. */
export function drain(): void {
  const from = records as Float64Array
  const count = native.drain(at)
  for (let index = 0; index < count * FIELDS; index += FIELDS) {
    const op = from[index] as number
    const completion = slots[op] as Completion
    slots[op] = undefined
    free.push(op)
    pending--
    try {
      completion.complete(op, from[index + 1] as number, from[index + 2] as number)
    } catch (error) {
      // Only what a program has put in the way (an accessor, a signal of its own making) throws here. It is told, but in a
      // turn of its own: the operations behind this one end all the same.
      setImmediate(() => {
        throw error
      })
    }
  }
  if (pending === 0) keepAlive.unref()
  // A full batch leaves the wake-up disarmed: whoever drained it owes the next drain.
  if (count === RECORDS_PER_TURN) next ??= setImmediate(turn)
}

function turn(): void {
  if (next !== undefined) {
    clearImmediate(next)
    next = undefined
  }
  drain()
}
