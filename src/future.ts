import { clearTimeout, setTimeout } from 'node:timers'
import { inspect, type InspectOptionsStylized } from 'node:util'
import { checkSeconds } from './arguments.js'
import { admit, attached, block, drain, giveUp, retract, type Completion } from './completions.js'
import { isTraced, type OperationMessage, tellEnd, tellError, tellStart, type Traceable } from './diagnostics.js'
import { illegalConstructor, MemlaneError } from './errors.js'
import { printed } from './inspect.js'
import { native } from './native.js'

const SLICE_MS = 100
/** The clock as it was at the start: a test's own would stand still while a thread blocks. */
const now = performance.now.bind(performance)

const PENDING = 0
const FULFILLED = 1
const REJECTED = 2
const STATES = ['pending', 'fulfilled', 'rejected']

interface Waiter<T> {
  resolve(value: T | null): void
  reject(error: Error): void
  timer: NodeJS.Timeout
}

// One function for all futures instead of a closure each.
let capturedResolve: ((value: never) => void) | undefined
let capturedReject: ((reason: Error) => void) | undefined
function capture(resolve: (value: never) => void, reject: (reason: Error) => void): void {
  capturedResolve = resolve
  capturedReject = reject
}

// A failure that nobody looked at must not vanish with its future: it becomes an unhandled rejection, as it would
// have been had the future been a promise. Only failures are registered, so that success costs nothing here.
const dropped = new FinalizationRegistry<Error>((error) => {
  void Promise.reject(error)
})

/** Failures that the program brought about itself and that say nothing new to it. */
function expected(error: Error): boolean {
  return error instanceof MemlaneError && (error.code === 'ERR_ABORTED' || error.code === 'ERR_CLOSED')
}

function watch(future: object, error: Error): void {
  // Until its stack was formatted an error holds the receivers of its frames, this very future among them.
  void error.stack
  dropped.register(future, error, future)
}

/**
 * The pending operations that follow one `AbortSignal`. One listener for all of them: a signal may well serve a thousand
 * operations, and Node warns of a leak at the eleventh listener.
 */
class Followers {
  static readonly #bySignal = new WeakMap<AbortSignal, Followers>()
  readonly signal: AbortSignal
  readonly #futures = new Set<TransferFuture<unknown>>()

  private constructor(signal: AbortSignal) {
    this.signal = signal
  }

  static of(signal: AbortSignal): Followers {
    let followers = Followers.#bySignal.get(signal)
    if (followers === undefined) {
      followers = new Followers(signal)
      Followers.#bySignal.set(signal, followers)
    }
    return followers
  }

  add(future: TransferFuture<unknown>): void {
    if (this.#futures.size === 0) this.signal.addEventListener('abort', this)
    this.#futures.add(future)
  }

  delete(future: TransferFuture<unknown>): void {
    this.#futures.delete(future)
    if (this.#futures.size === 0) this.signal.removeEventListener('abort', this)
  }

  handleEvent(): void {
    for (const future of this.#futures) future.cancel()
  }
}

/** What few futures have. */
class Extras<T> {
  cancelled = false
  waiters: Set<Waiter<T>> | undefined = undefined
  followed: Followers | undefined = undefined
  message: OperationMessage | undefined = undefined
  /** What `wait` gives, where it is not the future itself. */
  promise: Promise<T> | undefined = undefined
}

const ignore = (): undefined => undefined

// What the rest of the library may do to a future and its users may not.

/** Takes a slot for the next operation of `future`, whose start is told first. Issue it before anything else happens. */
export let begin: (future: TransferFuture<unknown> & Completion & Traceable) => number
/** Gives back the slot of an operation that could not be issued; with the error that its caller gets, that is its end. */
export let withdraw: (future: TransferFuture<unknown>, error?: unknown) => void
/** Ends `future` with a value; false where it has ended already. */
export let fulfil: <T>(future: TransferFuture<T>, value: T) => boolean
/** Ends `future` with an error; false where it has ended already. */
export let fail: (future: TransferFuture<unknown>, error: Error) => boolean
/** Cancels `future` when `signal` fires. */
let follow: (future: TransferFuture<unknown>, signal: AbortSignal) => void
/** Whether somebody gave `future` up. */
export let cancelled: (future: TransferFuture<unknown>) => boolean
/** The reason of the signal that gave it up. */
export let abortReason: (future: TransferFuture<unknown>) => unknown
/** What `constructor` of a future is, which whoever is about to wait for it asks for first. */
let look: (future: TransferFuture<unknown>, isAttaching: boolean) => unknown

/**
 * The result of an operation that is already on its way.
 *
 * Await it like a promise, or use {@link wait}, {@link waitFor}, {@link waitSync}. The operation proceeds whether or not
 * anybody waits, also while this thread is busy. A failed future that nobody has looked at raises no unhandled rejection
 * as long as it is held; once it was dropped unobserved, its failure is reported as one (except `ERR_ABORTED` and
 * `ERR_CLOSED`, which the program asked for itself).
 */
export abstract class TransferFuture<T> extends Promise<T> {
  /** @internal Its `then` makes promises, not futures. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  #state = PENDING
  #result: T | Error | undefined = undefined
  #operation = -1
  /** Whether anybody waited for it before it ended. */
  #isSeen = false
  #resolve: ((value: never) => void) | undefined
  #reject: ((reason: Error) => void) | undefined
  #extras: Extras<T> | undefined = undefined

  /** Operations make theirs. */
  protected constructor() {
    if (new.target === TransferFuture) throw illegalConstructor('TransferFuture', 'an operation')
    super(capture as never)
    this.#resolve = capturedResolve
    this.#reject = capturedReject
    // They hold the future, and with it its result.
    capturedResolve = capturedReject = undefined
  }

  /** Awaits the result, as a promise would. */
  // oxlint-disable-next-line no-thenable -- being awaitable is what a future is for
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null
  ): Promise<A | B> {
    look(this, true)
    return super.then(onFulfilled, onRejected)
  }

  /** As a promise's `catch`. */
  override catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return super.catch(onRejected)
  }

  /** As a promise's `finally`. */
  override finally(onSettled?: (() => void) | null): Promise<T> {
    return super.finally(onSettled)
  }

  /** What `Object.prototype.toString` calls it. */
  override get [Symbol.toStringTag](): string {
    return 'TransferFuture'
  }

  /** The result as a promise, the same one at each call. */
  wait(): Promise<T> {
    look(this, true)
    if (this.#state !== REJECTED || this.#isSeen) return this
    return (this.#more().promise ??= Promise.reject(this.#result as Error))
  }

  /**
   * The result, or `null` when the operation has not ended within `seconds`. It goes on then: wait again, or cancel it.
   *
   * @param seconds 0 to 2,147,483, fractions allowed
   */
  waitFor(seconds: number): Promise<T | null> {
    const milliseconds = checkSeconds(seconds)
    if (this.#state !== PENDING) return this.wait()
    return new Promise((resolve, reject) => {
      const waiters = (this.#more().waiters ??= new Set())
      const timer = setTimeout(() => {
        waiters.delete(waiter)
        resolve(null)
      }, milliseconds)
      const waiter: Waiter<T> = { resolve, reject, timer }
      waiters.add(waiter)
    })
  }

  /**
   * The result, by blocking this thread until it is there.
   *
   * Meant for worker threads: nothing else runs on this thread meanwhile. It sleeps on a notification and uses no
   * processor time.
   *
   * @throws what the operation failed with
   */
  waitSync(): T
  /**
   * The result, by blocking this thread until it is there; `null` when `seconds` passed first. It goes on then.
   *
   * @param seconds 0 to 2,147,483, fractions allowed
   * @throws what the operation failed with
   */
  waitSync(seconds: number): T | null
  waitSync(seconds?: number): T | null {
    const deadline = seconds === undefined ? Infinity : now() + checkSeconds(seconds)
    while (this.#state === PENDING) {
      const left = Math.max(0, Math.ceil(deadline - now()))
      // In slices, because a worker that sleeps in native code cannot be terminated until it comes back.
      const slice = Math.min(left, SLICE_MS)
      if (block(this.#operation, slice) ?? native.waitSync(attached(), this.#operation, slice)) drain()
      else if (left <= SLICE_MS) return null
    }
    if (this.#state === FULFILLED) return this.#result as T
    dropped.unregister(this)
    throw this.#result as Error
  }

  /**
   * Gives the operation up: it fails with `ERR_ABORTED`, unless it had already ended. Its memory is quiet when it fails.
   *
   * A cancelled read, write or send may already have been applied at the peer. A cancelled receive consumes no message.
   */
  cancel(): void {
    if (this.#state !== PENDING || this.#extras?.cancelled === true) return
    this.#more().cancelled = true
    giveUp(this.#operation)
  }

  /** @internal What it is, and not how it is made. */
  get [inspect.custom](): (depth: number, options: InspectOptionsStylized) => unknown {
    if (!(#state in this)) return () => this
    const isSeen = this.#isSeen
    return (depth, options) => {
      // To be printed is not to be looked at, though Node asks for `constructor` between this function and its call.
      this.#isSeen = isSeen
      return this.#print(depth, options)
    }
  }

  #print(depth: number, options: InspectOptionsStylized): string {
    const { operation, peer, region } = (this as Partial<Traceable>).about?.() ?? {}
    const subject = { ...(operation !== undefined && { operation }), ...(peer !== undefined && { peer }), ...(region !== undefined && { region }) }
    return printed('TransferFuture', { ...subject, state: STATES[this.#state] }, depth, options)
  }

  #more(): Extras<T> {
    return (this.#extras ??= new Extras())
  }

  #start(it: Traceable): void {
    const subject = it.about()
    if (subject !== undefined) this.#more().message = tellStart(subject)
  }

  /** Whether it had not ended before: what it comes to never changes. */
  #settle(state: number, result: T | Error): boolean {
    if (this.#state !== PENDING) return false
    this.#state = state
    this.#result = result
    this.#operation = -1
    const extras = this.#extras
    if (extras === undefined) {
      this.#release(false)
      return true
    }
    let isWaitedFor = false
    try {
      // First: subscribers hear of it before whoever waits goes on. One of them can make it throw, who has the message.
      if (extras.message !== undefined) this.#end(extras, extras.message)
    } finally {
      try {
        isWaitedFor = this.#tell(extras)
      } finally {
        this.#release(isWaitedFor)
      }
    }
    return true
  }

  /** Lets go whoever awaits it. */
  #release(isWaitedFor: boolean): void {
    if (this.#state === FULFILLED) {
      this.#resolve?.(this.#result as never)
    } else {
      if (!this.#isSeen) {
        // Nobody has it as a promise, so that this failure is not one of a promise that nobody handles. Not yet.
        super.then(undefined, ignore)
        if (!isWaitedFor && !expected(this.#result as Error)) watch(this, this.#result as Error)
      }
      this.#reject?.(this.#result as Error)
    }
    this.#resolve = undefined
    this.#reject = undefined
  }

  /** Tells those that wait for a time; whether there were any. */
  #tell(extras: Extras<T>): boolean {
    const { followed: followers, waiters } = extras
    extras.followed = extras.waiters = undefined
    for (const waiter of waiters ?? []) {
      clearTimeout(waiter.timer)
      if (this.#state === FULFILLED) waiter.resolve(this.#result as T)
      else waiter.reject(this.#result as Error)
    }
    // Last: a signal of the program's own making may throw.
    followers?.delete(this)
    return waiters !== undefined && waiters.size > 0
  }

  #end(extras: Extras<T>, message: OperationMessage): void {
    extras.message = undefined
    if (this.#state === FULFILLED) tellEnd(message, this.#result)
    else tellError(message, this.#result as Error)
  }

  static {
    begin = (future) => {
      // Once, and in the stack of its caller: an operation may have more than one round trip, and what it does between them
      // is done while completions are drained, where no subscriber may run.
      if (future.#operation === -1 && isTraced()) future.#start(future)
      return (future.#operation = admit(future))
    }
    withdraw = (future, error) => {
      retract(future.#operation)
      const message = future.#extras?.message
      if (error === undefined || message === undefined) return
      future.#more().message = undefined
      tellError(message, error as Error)
    }
    fulfil = (future, value) => future.#settle(FULFILLED, value)
    fail = (future, error) => future.#settle(REJECTED, error)
    follow = (future, signal) => {
      const followers = Followers.of(signal)
      future.#more().followed = followers
      followers.add(future)
      // By a subscriber to its start, behind the look at the signal.
      if (signal.aborted) future.cancel()
    }
    cancelled = (future) => future.#extras?.cancelled === true
    abortReason = (future) => {
      const signal = future.#extras?.followed?.signal
      return signal?.aborted === true ? signal.reason : undefined
    }
    look = (future, isAttaching) => {
      // A prototype is asked as well, by whoever prints it.
      if (!(#state in future)) return TransferFuture
      if (!future.#isSeen) {
        if (future.#state === REJECTED) {
          // Its failure was kept from being an unhandled one: whoever comes now gets a promise whose failure is. Whoever only
          // compares it with another value attaches to nothing.
          if (isAttaching) dropped.unregister(future)
          return TransferFuture
        }
        future.#isSeen = true
      }
      return Promise
    }
  }
}

/**
 * Makes instances of a class what `await` waits for itself, as it does for promises whose `constructor` is `Promise`, and not
 * something with a `then` that it has to make two promises for. To be asked for `constructor` is to be looked at, for there is
 * no other sign.
 */
export function awaitedAsPromise(kind: { prototype: TransferFuture<unknown> }): void {
  Object.defineProperty(kind.prototype, 'constructor', {
    get(this: TransferFuture<unknown>) {
      return look(this, false)
    },
    configurable: true,
  })
}

/** `future`, which `signal` cancels when it fires. */
export function followed<F extends TransferFuture<unknown>>(future: F, signal: AbortSignal | undefined): F {
  if (signal !== undefined) follow(future, signal)
  return future
}
