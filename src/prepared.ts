import { checkKeys, valueError } from './arguments.js'
import { checkBatchKeys, planOf } from './assignments.js'
import { startPlan } from './batch.js'
import type { TransferFuture } from './future.js'
import type { BatchOptions } from './options.js'
import { type Direction, FIELDS, type Plan } from './plan.js'
import type { Remote } from './remote.js'

/** The prepared batch of what is given to `peer.prepare`. */
export let prepareBatch: (remote: Remote, direction: Direction, entries: unknown, options: object | undefined) => PreparedBatch

/**
 * A batch that was checked and resolved once, to be started any number of times. `peer.prepare` makes it.
 *
 * It holds no memory of the engine and needs no close.
 */
export class PreparedBatch {
  /** What it does: `'read'` or `'write'`. */
  readonly operation: 'read' | 'write'
  /** How many entries it has. */
  readonly entries: number
  readonly #remote: Remote
  readonly #plan: Plan

  private constructor(operation: Direction, entries: number, remote: Remote, plan: Plan) {
    this.operation = operation
    this.entries = entries
    this.#remote = remote
    this.#plan = plan
  }

  /**
   * The number of bytes moved, once all of them are. It may be started again at once: starts that overlap are operations
   * of their own, and what they read into or write from is the same memory.
   *
   * Where the peer has described itself anew, names are looked up again; where it no longer knows an address, it is asked
   * once. So a region that was made anew at the peer is found, at the price of a round trip.
   *
   * @throws `TypeError` or `RangeError` at the call for wrong options; `ERR_OUT_OF_RANGE` also when a region of the peer is
   *   shorter now; `ERR_CLOSED` when the peer or one of the local regions is closed. The future fails as that of `readBatch`
   *   or `writeBatch` does, with `entry` where one is to blame.
   */
  start(options?: BatchOptions): TransferFuture<number> {
    checkKeys(options, ['timeoutMs', 'signal'])
    return startPlan(this.#remote, this.operation, options, () => this.#plan)
  }

  static {
    prepareBatch = (remote, direction, entries, options) => {
      if (direction !== 'read' && direction !== 'write') throw valueError("operation must be 'read' or 'write'")
      checkBatchKeys(entries, options, [])
      remote.lifetime.use()
      const plan = planOf(remote, direction, entries, options)
      const [staged] = plan.staged
      if (staged !== undefined) {
        throw valueError(`assignments[${staged.entry}].local must be a MemoryRegion: memory of JavaScript may change or go`)
      }
      const missing = plan.resolve(remote.regions)
      if (missing !== undefined && !remote.describes) throw remote.notFound(direction, missing.name, missing.entry)
      return new PreparedBatch(direction, plan.numbers.length / FIELDS, remote, plan)
    }
  }
}
