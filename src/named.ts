import { attached } from './completions.js'
import { abortedError, fromFailure, type MemlaneError, type MemlaneErrorInit } from './errors.js'
import { abortReason, begin, cancelled, fail } from './future.js'
import { native, type Failure } from './native.js'
import { Operation } from './operation.js'
import type { Remote } from './remote.js'

/** As the engine numbers what a peer is asked for its regions for: by the opcode. */
const NEEDED_BY = { read: 1, write: 2 } as const

/** A peer was asked to describe itself. */
interface Inquiry {
  /** When, as `performance.now()` tells it. */
  readonly since: number
  /** What the peer had refused before, where it was asked for that. */
  readonly stale: Failure | undefined
  isAnswered: boolean
}

/**
 * An operation on remote regions that it knows by name.
 *
 * Names are looked up among the regions that the peer last described. Where one is missing there, or the peer no longer
 * knows the address, the peer is asked once to describe itself anew before the operation fails.
 */
export abstract class NamedOperation<T> extends Operation<T> {
  protected readonly remote: Remote
  protected timeoutMs: number
  protected readonly operation: 'read' | 'write'
  /** The one time that the peer was asked. */
  #inquiry: Inquiry | undefined = undefined

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

  /** Asks the peer to describe itself, if its wire can; `name` is what was missing, in the entry of that index. */
  protected ask(name: string, entry?: number): void {
    if (!this.remote.describes) throw this.notFound(name, entry)
    this.#ask(undefined)
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
    const stale = this.#inquiry?.stale
    if (stale !== undefined && !this.repeatable) throw fromFailure(stale, { retryable: true })
  }

  protected override succeeded(op: number, value: number): void {
    const inquiry = this.#inquiry
    if (inquiry === undefined || inquiry.isAnswered) this.finished(op, value)
    else this.#answered(op, inquiry)
  }

  protected override failed(failure: Failure): void {
    if (this.#inquiry !== undefined || failure.code !== 'ERR_REGION_NOT_FOUND' || !this.remote.describes || cancelled(this)) {
      fail(this, this.error(failure))
    } else {
      try {
        this.#ask(failure)
      } catch {
        // The peer was closed here meanwhile: what it had answered is the better account.
        fail(this, this.error(failure))
      }
    }
  }

  #ask(stale: Failure | undefined): void {
    const peer = this.remote.lifetime.use()
    this.#inquiry = { since: performance.now(), stale, isAnswered: false }
    native.describe(attached(), begin(this), peer, this.timeoutMs, NEEDED_BY[this.operation])
  }

  #answered(op: number, inquiry: Inquiry): void {
    inquiry.isAnswered = true
    this.remote.adopt(native.detail(attached(), op).text ?? '')
    if (cancelled(this)) throw abortedError(this.operation, abortReason(this))
    if (this.timeoutMs > 0) {
      // One deadline for both round trips.
      this.timeoutMs = Math.max(1, Math.ceil(this.timeoutMs - (performance.now() - inquiry.since)))
    }
    this.resume()
  }
}
