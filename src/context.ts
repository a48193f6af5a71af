import { inspect, type InspectOptionsStylized } from 'node:util'
import { checkKeys } from './arguments.js'
import { attached } from './completions.js'
import { isTraced, tellEnd, tellStart } from './diagnostics.js'
import { fromFailure } from './errors.js'
import { printed } from './inspect.js'
import { Lifetime } from './lifetime.js'
import { checkDrain, checkLimits, DRAIN_BY_LIMIT, limitNames } from './limits.js'
import { metricsOf } from './metrics.js'
import { native, type Figures } from './native.js'
import { Call, nothing } from './operation.js'
import type { CloseOptions, Limits, Security, TlsOptions } from './options.js'
import { checkSecurity, SECURITY_OPTIONS, type CheckedSecurity } from './security.js'
import { checkNewTls, wrongTls } from './tls.js'
import { statsOf, type ContextStats } from './stats.js'

/** A new endpoint of `context`; without one, of a context of its own where limits or tokens are set, else of the process's own. */
export let makeEndpoint: (
  context: TcpContext | undefined,
  limits: Record<string, number>,
  security?: CheckedSecurity
) => Lifetime
/** The names of the tokens of a context, or of the options that an endpoint of its own was made with. */
export let tokenNames: (context: TcpContext | undefined, security: CheckedSecurity | undefined) => readonly string[]
/** Closes an endpoint that {@link makeEndpoint} made; `untold` where no user knows of it. */
export let endEndpoint: (
  endpoint: Lifetime,
  context: TcpContext | undefined,
  drainMs?: number,
  untold?: 'untold'
) => Promise<void>

/** The handle of the context that everybody in this process shares who asks for none of his own. */
let shared: number | undefined

/**
 * What endpoints share: I/O threads, limits, and the lanes to every peer.
 *
 * Endpoints that name no context and set no limits and nothing of {@link Security} share one that is the process's own, its workers included. Peers of one
 * context with the same address use the same connections for reads and writes, whichever endpoint connected to them (from the
 * same `localAddress`); each endpoint has one of its own for its messages.
 *
 * A context lives until {@link close}; dropping the object changes nothing. I/O threads belong to the process, which has
 * as many as the largest `ioThreads` of any context; none is ever stopped.
 */
export class TcpContext {
  readonly #lifetime: Lifetime
  readonly #figures: Figures
  readonly #endpoints = new Set<Lifetime>()
  readonly #tokens: readonly string[]

  /**
   * A context with limits and tokens of its own.
   *
   * @param options all that is left out has its default; unit, default and range of each are with {@link Limits} and
   *   {@link Security}
   * @throws `TypeError` or `RangeError` for an unknown option or a value out of its range; `ERR_LIMIT` when the system gives
   *   this process no thread or no descriptors for it
   */
  constructor(options: Limits & Security = {}) {
    checkKeys(options, [...limitNames(), ...SECURITY_OPTIONS])
    const security = checkSecurity(options)
    const handle = contextOf(checkLimits(options), security)
    this.#tokens = namesOf(security)
    this.#lifetime = new Lifetime(handle, 'context')
    this.#figures = native.contextFigures(attached(), handle) as Figures
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#lifetime.closed
  }

  /**
   * Counters of all its endpoints together, closed ones included, and the limits in force. On a closed context they are the
   * last.
   */
  stats(): ContextStats {
    return statsOf(this.#figures)
  }

  /**
   * {@link stats} for Prometheus, in its text exposition format 0.0.4: serve it as `text/plain; version=0.0.4`.
   * docs/metrics.md lists the names, which are stable.
   */
  metrics(): string {
    return metricsOf(this.stats())
  }

  /**
   * Gives the context other certificates: connections that are made from now on have these, those that are up go on with the
   * ones they have. What is left out is not kept.
   *
   * @throws `TypeError` when there is something wrong with them, or the context was made without `tls`; nothing has changed
   *   then. `ERR_CLOSED` when the context is closed.
   */
  setTls(tls: TlsOptions): void {
    const wrong = native.contextTls(attached(), this.#lifetime.use(), checkNewTls(tls))
    if (typeof wrong === 'string') throw wrongTls(wrong)
  }

  /**
   * Closes every endpoint of the context, as their own `close` does, then the context. No endpoint can be made of it from
   * the call on. Calling it again gives the same promise; the options of the first call hold.
   *
   * @throws `TypeError` or `RangeError` for wrong options, also when it is closing already
   */
  close(options: CloseOptions = {}): Promise<void> {
    const drainMs = checkDrain(options)
    return this.#lifetime.end(async (handle) => {
      const message = isTraced() ? tellStart({ operation: 'close', closes: 'context' }) : undefined
      await Promise.all([...this.#endpoints].map((endpoint) => endEndpoint(endpoint, this, drainMs)))
      native.closeContext(attached(), handle)
      if (message !== undefined) tellEnd(message, undefined)
    })
  }

  /** {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal What it is, and not how it is made. */
  [inspect.custom](depth: number, options: InspectOptionsStylized): unknown {
    if (!(#lifetime in this)) return this
    const { endpoints, peers } = this.stats()
    return printed('TcpContext', { closed: this.closed, endpoints, peers }, depth, options)
  }

  static {
    makeEndpoint = (context, limits, security) => {
      if (context === undefined) return new Lifetime(endpointOf(limits, security), 'endpoint')
      const endpoint = new Lifetime(native.endpoint(attached(), context.#lifetime.use()), 'endpoint', context.#lifetime)
      context.#endpoints.add(endpoint)
      return endpoint
    }
    tokenNames = (context, security) => (context === undefined ? namesOf(security) : context.#tokens)
    endEndpoint = (endpoint, context, drainMs = DRAIN_BY_LIMIT, untold) =>
      endpoint.end(async (handle) => {
        const subject = untold === undefined ? ({ operation: 'close', closes: 'endpoint' } as const) : undefined
        await new Call<void>((op) => native.closeEndpoint(attached(), op, handle, drainMs), nothing, subject).wait()
        if (context !== undefined) context.#endpoints.delete(endpoint)
      })
  }
}

/** A secret without a name is none that could be named. */
function namesOf(security: CheckedSecurity | undefined): readonly string[] {
  return security === undefined ? [] : security.tokens.map(({ name }) => name).filter((name) => name !== '')
}

function contextOf(limits?: Record<string, number>, security?: CheckedSecurity): number {
  try {
    const made = native.context(attached(), limits, security)
    if (made.failure !== undefined) throw fromFailure(made.failure)
    return made.handle
  } catch (error) {
    // All else was checked before.
    if (security?.tls !== undefined && (error as { code?: unknown }).code === 'InvalidArg') throw wrongTls((error as Error).message)
    throw error
  }
}

function endpointOf(limits: Record<string, number>, security?: CheckedSecurity): number {
  const at = attached()
  if (security === undefined && Object.keys(limits).length === 0) return native.endpoint(at, (shared ??= contextOf()))
  const own = contextOf(limits, security)
  try {
    return native.endpoint(at, own)
  } finally {
    // The endpoint keeps what it needs of it.
    native.closeContext(at, own)
  }
}
