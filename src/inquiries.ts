import { setImmediate } from 'node:timers'
import { admit, attached, FAILED, type Completion } from './completions.js'
import { closedError } from './errors.js'
import { native, type Failure } from './native.js'
import type { Remote } from './remote.js'

/** As the engine numbers what a peer is asked for its regions for: by the opcode. */
export type NeededBy = 1 | 2

const NONE = -1

/** The clock as it was at the start: a test's own would stand still while a thread blocks. */
export const now = performance.now.bind(performance)

/** Whoever waits for a peer to describe itself. Runs no user code. */
export interface Asker {
  readonly neededBy: NeededBy
  /** When it has to be over, as {@link now} tells it. */
  readonly deadline: number
  /** The peer has described itself, and its {@link Remote} knows it. */
  answered(): void
  /** The question ended with this failure, told of as `neededBy` of the one who asked first. */
  unanswered(failure: Failure): void
  /** There is no question, or no sense in the answer. */
  broken(error: Error): void
}

/**
 * The questions to one peer about its regions that operations ask: one DESCRIBE at a time, for all that wait for it.
 *
 * An operation joins a question that has not been sent: where none is under way it sends one, else it waits for the next, with
 * everybody else who came meanwhile. It never joins one that was sent before it was called. The peer may have answered that
 * already, and made the region after its answer and before the call: such an answer would deny a region that is there.
 */
export class Inquiries implements Completion {
  readonly #remote: Remote
  #op = NONE
  /** Those whom the question is for that was sent. */
  #asking = new Set<Asker>()
  /** Those whom the next one is for. */
  #waiting = new Set<Asker>()

  constructor(remote: Remote) {
    this.#remote = remote
  }

  /** The operation that is under way, or below zero. */
  get op(): number {
    return this.#op
  }

  /** Asks for it, or has it wait. True when the engine keeps its deadline, because nobody else's is on that question. */
  join(asker: Asker): boolean {
    if (this.#op !== NONE) {
      this.#waiting.add(asker)
      return false
    }
    this.#asking.add(asker)
    this.#send()
    return true
  }

  /** Nobody is told of it any more. A question that is nobody's any more is taken back. */
  leave(asker: Asker): void {
    if (!this.#asking.delete(asker)) this.#waiting.delete(asker)
    else if (this.#asking.size === 0) this.giveUp(this.#op)
  }

  complete(op: number, state: number): void {
    const asking = this.#asking
    this.#asking = this.#waiting
    this.#waiting = new Set()
    this.#op = NONE
    const tell = this.#outcome(op, state)
    if (this.#asking.size > 0) this.#send()
    for (const asker of asking) guarded(() => tell(asker))
  }

  giveUp(op: number): void {
    native.cancel(attached(), op, this.#remote.lifetime.handle)
  }

  /** What to tell those who asked. */
  #outcome(op: number, state: number): (asker: Asker) => void {
    if (state === FAILED) {
      const failure = native.failure(attached(), op)
      return (asker) => asker.unanswered(failure)
    }
    try {
      this.#remote.adopt(native.detail(attached(), op).text ?? '')
      return (asker) => asker.answered()
    } catch (error) {
      return (asker) => asker.broken(error as Error)
    }
  }

  #send(): void {
    const asking = this.#asking
    const { lifetime } = this.#remote
    if (lifetime.closed) {
      // Now, and not by the engine: whoever awaits the close finds them ended.
      this.#asking = new Set()
      for (const asker of asking) guarded(() => asker.broken(closedError('peer')))
      return
    }
    // The latest deadline: nobody joins what was sent, and those that have an earlier one keep it themselves.
    let deadline = 0
    let neededBy: NeededBy | undefined
    for (const asker of asking) {
      deadline = Math.max(deadline, asker.deadline)
      neededBy ??= asker.neededBy
    }
    const timeoutMs = deadline === Infinity ? 0 : Math.max(1, Math.ceil(deadline - now()))
    this.#op = admit(this)
    native.describe(attached(), this.#op, lifetime.handle, timeoutMs, neededBy ?? 1)
  }
}

/** Runs what ends one operation, of which there are others. An error is a program's own, and is told in a turn of its own. */
function guarded(job: () => void): void {
  try {
    job()
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}
