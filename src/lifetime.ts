import { hold, release } from './completions.js'
import { closedError } from './errors.js'

/** One native handle, and whether it may still be used. What belongs to an endpoint ends with it. */
export class Lifetime {
  readonly #handle: number
  readonly #what: string
  readonly #owner: Lifetime | undefined
  readonly #jobs = new Set<() => Promise<void> | void>()
  #closing: Promise<void> | undefined = undefined
  #holds = false
  /** Open ones that end with it, by the first word of what they are. */
  readonly #owned = new Map<string, number>()

  constructor(handle: number, what: string, owner?: Lifetime) {
    this.#handle = handle
    this.#what = what
    this.#owner = owner
    if (owner !== undefined) owner.#count(what, 1)
  }

  /** How many of a kind are open that end with it. */
  owned(kind: string): number {
    return this.closed ? 0 : (this.#owned.get(kind) ?? 0)
  }

  get closed(): boolean {
    return this.#closing !== undefined || this.#owner?.closed === true
  }

  /** The handle, which the engine may know no more. */
  get handle(): number {
    return this.#handle
  }

  /** The handle, or `ERR_CLOSED`. */
  use(): number {
    if (this.#closing !== undefined || this.#owner?.closed === true) throw closedError(this.#what)
    return this.#handle
  }

  /** Closes once: `close` runs at the first call, and not at all when the owner closed before. */
  end(close: (handle: number) => Promise<void>): Promise<void> {
    if (this.#closing === undefined && this.#owner !== undefined) this.#owner.#count(this.#what, -1)
    this.#closing ??= this.#owner?.ending() ?? (this.#jobs.size === 0 ? close(this.#handle) : this.#endAfterJobs(close))
    this.hold(false)
    return this.#closing
  }

  /** Whether it keeps the process while it is open, used or not. */
  hold(wanted: boolean): void {
    const holds = wanted && !this.closed
    if (holds === this.#holds) return
    this.#holds = holds
    if (holds) hold()
    else release()
  }

  /** Runs `job` before anything else when it ends, which waits for it; a job does not fail. The result takes that back. */
  first(job: () => Promise<void> | void): () => void {
    this.#jobs.add(job)
    return () => this.#jobs.delete(job)
  }

  /** The close under way or over, if there is one. */
  ending(): Promise<void> | undefined {
    return this.#closing
  }

  #count(what: string, change: number): void {
    const [kind] = what.split(' ', 1) as [string]
    this.#owned.set(kind, (this.#owned.get(kind) ?? 0) + change)
  }

  async #endAfterJobs(close: (handle: number) => Promise<void>): Promise<void> {
    // Not in the stack of `end`: a job that comes back to it finds it closing.
    await undefined
    await Promise.all([...this.#jobs].map((job) => job()))
    await close(this.#handle)
  }
}
