import { attached, FAILED, type Completion } from './completions.js'
import { isTraced, type OperationSubject, tellEnd, tellError, tellStart, type Traceable } from './diagnostics.js'
import { fromFailure, type MemlaneErrorInit } from './errors.js'
import { abortReason, begin, fail, fulfil, TransferFuture, withdraw } from './future.js'
import { native, type Failure } from './native.js'

/** Whichever it was issued to: all are asked when it is cancelled. */
const ANY_PEER = -1

/** A future with its side to the engine: issues itself, and makes its result of the record that comes back. */
export abstract class Operation<T> extends TransferFuture<T> implements Completion, Traceable {
  // oxlint-disable-next-line no-useless-constructor -- without one, each operation takes the slow way through `new`
  constructor() {
    super()
  }

  abstract about(): OperationSubject | undefined

  giveUp(op: number): void {
    native.cancel(attached(), op, this.peer)
  }

  /** Handle of the peer that it is issued to. */
  protected get peer(): number {
    return ANY_PEER
  }

  complete(op: number, state: number, value: number): void {
    if (state === FAILED) {
      this.failed(native.failure(attached(), op))
      return
    }
    try {
      this.succeeded(op, value)
    } catch (error) {
      // What a program has put in the way of an end that is one all the same.
      if (!fail(this, error as Error)) throw error
    }
  }

  /** Makes the result. Fetch what is kept under `op` before anything else. */
  protected abstract succeeded(op: number, value: number): void

  protected failed(failure: Failure): void {
    fail(this, this.error(failure))
  }

  protected error(failure: Failure, overrides?: Partial<MemlaneErrorInit>): Error {
    const cause = abortReason(this)
    return fromFailure(failure, cause === undefined ? overrides : { ...overrides, cause })
  }
}

/** An operation off the hot path: `issue` hands it over, `finish` makes its result. */
export class Call<T> extends Operation<T> {
  readonly #finish: (op: number, value: number) => T
  readonly #subject: OperationSubject | undefined
  readonly #peer: number

  /** @param subject what is told of it; left out for what no user has called */
  constructor(
    issue: (op: number) => void,
    finish: (op: number, value: number) => T,
    subject?: OperationSubject,
    peer = ANY_PEER
  ) {
    super()
    this.#finish = finish
    this.#subject = subject
    this.#peer = peer
    const op = begin(this)
    try {
      issue(op)
    } catch (error) {
      withdraw(this, error)
      throw error
    }
  }

  about(): OperationSubject | undefined {
    return this.#subject
  }

  protected override get peer(): number {
    return this.#peer
  }

  protected override succeeded(op: number, value: number): void {
    fulfil(this, this.#finish(op, value))
  }
}

/** An operation that ended before it began. */
export class Settled<T> extends TransferFuture<T> {
  static failed<T>(error: Error, subject: OperationSubject): TransferFuture<T> {
    if (isTraced()) tellError(tellStart(subject), error)
    const future = new Settled<T>()
    fail(future, error)
    return future
  }

  static value<T>(value: T, subject: OperationSubject): TransferFuture<T> {
    if (isTraced()) tellEnd(tellStart(subject), value)
    const future = new Settled<T>()
    fulfil(future, value)
    return future
  }
}

export const nothing = (): undefined => undefined
