import { Latencies } from './latencies.mjs'

/** The codes that every operation on a peer may end with where processes restart all the time. */
const REMOTE = ['ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_REGION_NOT_FOUND']

/**
 * How operations of each kind may end, beside with a value. On top of that `ERR_TIMEOUT` where the plan has a tiny deadline,
 * `ERR_ABORTED` where it cancels, `ERR_CLOSED` where it closes. Anything else is a failure.
 */
const ALLOWED = {
  connect: ['ERR_PEER_CLOSED', 'ERR_CONNECT'],
  describe: ['ERR_PEER_CLOSED', 'ERR_CONNECT'],
  read: REMOTE,
  write: REMOTE,
  'read batch': REMOTE,
  'write batch': REMOTE,
  'prepared batch': REMOTE,
  'notified write': [...REMOTE, 'ERR_NO_RECEIVE'],
  'legacy read': ['ERR_PEER_CLOSED', 'ERR_CONNECT'],
  send: ['ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_NO_RECEIVE', 'ERR_MESSAGE_SIZE'],
  recv: ['ERR_CLOSED', 'ERR_ABORTED'],
  messages: [],
  probe: REMOTE,
  'named connect': ['ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_TIMEOUT'],
  'file read': REMOTE,
  listen: [],
  fence: [],
  close: [],
}
/** Kinds whose deadline may pass where connections break as well: nothing of them goes over one. */
const AT_HOME = ['recv', 'messages', 'listen', 'fence', 'close']

/** Deadline of operations whose plan has none of its own: passing it is a failure. */
export const TIMEOUT_MS = 20_000
/** What an operation may take beyond its deadline on a busy machine. */
const SLACK_MS = 10_000
const FAILURES_KEPT = 20

/** Every operation of one process: begun, and ended once. */
export class Ledger {
  #counts = {}
  #pending = new Map()
  #next = 0
  #faulty
  /** Milliseconds that operations with a value took, by kind. */
  #took = {}
  /** In words, everything that went wrong. */
  failures = []
  failed = 0

  /** @param faulty whether connections break and stand still, so that a deadline may pass */
  constructor(faulty = false) {
    this.#faulty = faulty
  }

  fail(what) {
    this.failed++
    if (this.failures.length < FAILURES_KEPT) this.failures.push(what)
  }

  /**
   * Follows an operation to its end: `{ value }` or `{ error }`. `start` may throw, which is an end too.
   *
   * @param given.where what the plan calls it
   * @param given.may codes that this one may end with besides those of its kind
   * @param given.timeoutMs when it has to have ended; 0 for never
   */
  async follow(kind, start, { where, may = [], timeoutMs = TIMEOUT_MS }) {
    const key = this.#next++
    const since = performance.now()
    this.#pending.set(key, { kind, where, since, timeoutMs })
    let end
    try {
      end = { value: await start() }
    } catch (error) {
      end = { error }
    }
    if (!this.#pending.delete(key)) this.fail(`${kind} ended after it was given up as unended: ${where}`)
    const result = end.error === undefined ? 'ok' : (end.error.code ?? end.error.name)
    this.count(kind, result)
    if (end.error === undefined && !AT_HOME.includes(kind)) (this.#took[kind] ??= new Latencies()).add(performance.now() - since)
    if (end.error !== undefined && !this.#allowed(kind, result) && !may.includes(result)) {
      this.fail(`${kind} ended with ${result}: ${where}: ${end.error.stack}`)
    }
    return end
  }

  #allowed(kind, result) {
    if (ALLOWED[kind].includes(result)) return true
    if (!this.#faulty || AT_HOME.includes(kind)) return false
    return result === 'ERR_TIMEOUT'
  }

  count(kind, result, by = 1) {
    const row = (this.#counts[kind] ??= {})
    row[result] = (row[result] ?? 0) + by
  }

  /** Takes what `pending` says as failures; those operations are not looked at again. */
  failOverdue() {
    const now = performance.now()
    for (const [key, { kind, where, since, timeoutMs }] of this.#pending) {
      if (timeoutMs === 0 || now - since < timeoutMs + SLACK_MS) continue
      this.#pending.delete(key)
      this.fail(`${kind} has not ended after ${Math.round(now - since)} ms, its deadline was ${timeoutMs} ms: ${where}`)
    }
  }

  get pending() {
    const now = performance.now()
    return [...this.#pending.values()].map(({ kind, where, since }) => `${kind} for ${Math.round(now - since)} ms: ${where}`)
  }

  get summary() {
    const took = Object.fromEntries(Object.entries(this.#took).map(([kind, latencies]) => [kind, latencies.buckets]))
    return { counts: this.#counts, pending: this.#pending.size, failures: this.failures, failed: this.failed, took }
  }
}
