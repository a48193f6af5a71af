import { clearTimeout, setTimeout } from 'node:timers'
import { attached } from './completions.js'
import { fromFailure, type MemlaneError, type MemlaneErrorInit } from './errors.js'
import { begin, cancelled, fail, withdraw } from './future.js'
import { type Asker, now } from './inquiries.js'
import { native, type Failure } from './native.js'
import { Operation } from './operation.js'
import type { Remote } from './remote.js'

/** As the engine numbers what a peer is asked for its regions for: by the opcode. */
const NEEDED_BY = { read: 1, write: 2 } as const
const NONE = -1

/** An operation waits, or has waited, for the peer to describe itself. */
interface Question extends Asker {
  /** The slot that it has while it waits; none once it was given back, or used. */
  op: number
  /** Whether the bytes that it is to write are staged under that. */
  readonly isStaged: boolean
  /** What the peer had refused before, where it was asked for that. */
  readonly stale: Failure | undefined
  isOpen: boolean
  /** Where the engine does not keep the deadline. */
  timer: NodeJS.Timeout | undefined
}

/** How every failure of an operation with a peer begins. */
const begins = (operation: string, peer: string): string => `${operation} ${operation === 'read' ? 'from' : 'to'} ${peer}: `

/**
 * An operation on remote regions that it knows by name.
 *
 * Names are looked up among the regions that the peer last described. Where one is missing there, or the peer no longer
 * knows the address, the peer is asked once to describe itself anew before the operation fails: by one question for all
 * operations that wait for it ({@link Inquiries}). Meanwhile the engine knows nothing of the operation but the bytes that were
 * staged for it.
 */
export abstract class NamedOperation<T> extends Operation<T> {
  protected readonly remote: Remote
  protected timeoutMs: number
  protected readonly operation: 'read' | 'write'
  /** The one time that the peer was asked. */
  #question: Question | undefined = undefined

  protected constructor(remote: Remote, operation: 'read' | 'write', timeoutMs: number) {
    super()
    this.remote = remote
    this.timeoutMs = timeoutMs
    this.operation = operation
  }

  protected override get peer(): number {
    return this.remote.lifetime.handle
  }

  /** Looks the names up again and issues the operation: the peer has described itself. Throws when one is still missing. */
  protected abstract resume(): void
  protected abstract finished(op: number, value: number): void

  /** Whether it can be issued again after it was refused. */
  protected get repeatable(): boolean {
    return true
  }

  /** Whether it writes memory of JavaScript, which {@link stage} copies. */
  protected get stages(): boolean {
    return false
  }

  /** Copies what it writes into memory under `op`. False when there is no room: the operation has ended with the reason. */
  protected stage(_op: number, _peer: number): boolean {
    return true
  }

  /** The slot under which its bytes were staged before the name was asked for, to be issued in; once. */
  protected takeStaged(): number | undefined {
    const question = this.#question
    if (question === undefined || !question.isStaged || question.op === NONE) return undefined
    const { op } = question
    question.op = NONE
    return op
  }

  /** Asks the peer to describe itself, if its wire can; `name` is what was missing, in the entry of that index. */
  protected ask(name: string, entry?: number): void {
    if (!this.remote.describes) throw this.notFound(name, entry)
    const peer = this.remote.lifetime.use()
    const op = begin(this)
    const isStaged = this.stages
    // Before anything is asked: what the caller does to its memory changes nothing, and what does not fit asks nobody.
    if (!isStaged || this.stage(op, peer)) this.#ask(op, isStaged, undefined)
  }

  /** The region that it is about, where it is one. */
  protected get region(): string | undefined {
    return undefined
  }

  /** What the peer refused says of which region, and what that grants as far as it is known here. */
  protected override error(failure: Failure, overrides?: Partial<MemlaneErrorInit>): Error {
    const name = this.region
    if (failure.origin !== 'remote' || name === undefined) return super.error(failure, overrides)
    const access = this.remote.regions.get(name)?.access
    const grants = failure.code === 'ERR_ACCESS' && access !== undefined ? `, which grants ${access}` : ''
    return super.error({ ...failure, message: `${failure.message} (region ${JSON.stringify(name)}${grants})` }, overrides)
  }

  protected notFound(name: string, entry?: number): MemlaneError {
    return this.remote.notFound(this.operation, name, entry)
  }

  /** Throws for what was refused and cannot be issued again; the next call finds the region, so that is worth it. */
  protected checkRepeatable(): void {
    const stale = this.#question?.stale
    if (stale !== undefined && !this.repeatable) throw fromFailure(stale, { retryable: true })
  }

  override giveUp(op: number): void {
    const question = this.#question
    if (question?.isOpen === true) this.#abandon(question, 'ERR_ABORTED', 'the caller cancelled the operation')
    else super.giveUp(op)
  }

  /** What ends while it waits is the question, and not an operation in its own slot; and a blocked thread runs no timer. */
  block(milliseconds: number): boolean | undefined {
    const question = this.#question
    if (question?.isOpen !== true) return undefined
    const left = question.timer === undefined ? Infinity : Math.max(0, Math.ceil(question.deadline - now()))
    if (native.waitSync(attached(), this.remote.inquiries.op, Math.min(milliseconds, left))) return true
    if (left <= milliseconds) this.#expire(question)
    return !question.isOpen
  }

  protected override succeeded(op: number, value: number): void {
    this.finished(op, value)
  }

  protected override failed(failure: Failure): void {
    const isWorthAsking = this.#question === undefined && failure.code === 'ERR_REGION_NOT_FOUND' && this.remote.describes
    // Of a peer that was closed here meanwhile, what it had answered is the better account.
    if (!isWorthAsking || cancelled(this) || this.remote.lifetime.closed) fail(this, this.error(failure))
    else this.#ask(begin(this), false, failure)
  }

  #ask(op: number, isStaged: boolean, stale: Failure | undefined): void {
    const { timeoutMs } = this
    const question: Question = {
      neededBy: NEEDED_BY[this.operation],
      // One deadline for both round trips.
      deadline: timeoutMs === 0 ? Infinity : now() + timeoutMs,
      op,
      isStaged,
      stale,
      isOpen: true,
      timer: undefined,
      answered: () => this.#end(question, () => this.#resume(question)),
      unanswered: (failure) => this.#end(question, () => this.#fail(question, this.error(this.#own(failure)))),
      broken: (error) => this.#end(question, () => this.#fail(question, error)),
    }
    this.#question = question
    const isKept = this.remote.inquiries.join(question)
    if (!isKept && timeoutMs > 0) question.timer = setTimeout(() => this.#expire(question), timeoutMs)
  }

  /** Ends the wait, once, for what follows. */
  #end(question: Question, next: () => void): void {
    if (!question.isOpen) return
    question.isOpen = false
    clearTimeout(question.timer)
    next()
  }

  #resume(question: Question): void {
    if (this.timeoutMs > 0) this.timeoutMs = Math.max(1, Math.ceil(question.deadline - now()))
    try {
      if (!question.isStaged) this.#giveBack(question)
      this.resume()
    } catch (error) {
      this.#fail(question, error as Error)
    }
  }

  #expire(question: Question): void {
    this.#abandon(question, 'ERR_TIMEOUT', "the operation's deadline passed: the peer has not described itself")
  }

  /** Ends it here and now: nothing of it is on its way. */
  #abandon(question: Question, code: 'ERR_ABORTED' | 'ERR_TIMEOUT', text: string): void {
    this.#end(question, () => {
      this.remote.inquiries.leave(question)
      const { operation } = this
      const peer = this.remote.label
      const message = begins(operation, peer) + text
      this.#fail(question, this.error({ code, message, peer, operation, origin: 'local', retryable: code === 'ERR_TIMEOUT' }))
    })
  }

  #fail(question: Question, error: Error): void {
    this.#giveBack(question)
    fail(this, error)
  }

  /** Gives back the slot, and the memory that was staged under it. */
  #giveBack(question: Question): void {
    if (question.op === NONE) return
    if (question.isStaged) native.discard(attached(), question.op)
    question.op = NONE
    withdraw(this)
  }

  /** The same failure as this operation's: whoever asked first may have been of the other kind. */
  #own(failure: Failure): Failure {
    const { operation, peer, message } = failure
    if (operation === undefined || operation === this.operation || peer === undefined) return failure
    const theirs = begins(operation, peer)
    const text = message.startsWith(theirs) ? message.slice(theirs.length) : message
    return { ...failure, operation: this.operation, message: begins(this.operation, peer) + text }
  }
}
