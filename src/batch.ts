import { checkSignal, checkTimeout, DEFAULT_TIMEOUT_MS } from './arguments.js'
import { checkBatchKeys, planOf } from './assignments.js'
import { attached } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { abortedError, unsafeMemoryError } from './errors.js'
import { awaitedAsPromise, begin, followed, fulfil, type TransferFuture } from './future.js'
import { NamedOperation } from './named.js'
import { native } from './native.js'
import { Settled } from './operation.js'
import type { Assignment, BatchOptions, DescriptorOptions } from './options.js'
import { type Direction, FIELDS, type Plan } from './plan.js'
import type { Remote } from './remote.js'
import { READ, WRITE } from './transfer.js'

/** A list of ranges on its way as one operation; its result is the number of bytes of all of them. */
class ListTransfer extends NamedOperation<number> {
  static {
    awaitedAsPromise(this)
  }

  readonly #plan: Plan
  readonly #direction: Direction

  constructor(remote: Remote, direction: Direction, plan: Plan, timeoutMs: number) {
    super(remote, direction, timeoutMs)
    this.#plan = plan
    this.#direction = direction
  }

  about(): OperationSubject {
    return subjectOf(this.remote, this.#direction, this.#plan)
  }

  /** Hands the list over: it is on its way when this returns. */
  start(): this {
    const plan = this.#plan
    const missing = plan.resolve(this.remote.regions)
    if (missing === undefined) {
      this.#launch()
    } else {
      this.ask(missing.name, missing.entry)
    }
    return this
  }

  /** What was staged is gone with a failure, and the caller's memory is the caller's again. */
  protected override get repeatable(): boolean {
    return this.#direction === 'read' || this.#plan.staged.length === 0
  }

  protected override get stages(): boolean {
    return this.#direction === 'write' && this.#plan.staged.length > 0
  }

  /** Before its names were found, of a write alone: nobody says its lengths but its caller. */
  protected override stage(op: number, peer: number): boolean {
    this.#plan.layOut()
    return this.#stage(op, peer, WRITE)
  }

  protected override resume(): void {
    const missing = this.#plan.resolve(this.remote.regions)
    if (missing !== undefined) throw this.notFound(missing.name, missing.entry)
    this.checkRepeatable()
    this.#launch()
  }

  protected override finished(op: number, value: number): void {
    if (this.#plan.staged.length > 0) {
      if (this.#direction === 'read') this.#deliver(op)
      native.discard(attached(), op)
    }
    fulfil(this, value)
  }

  #launch(): void {
    const plan = this.#plan
    plan.checkLocals()
    const peer = this.remote.lifetime.use()
    const at = attached()
    const opcode = this.#direction === 'read' ? READ : WRITE
    const staged = this.takeStaged()
    const op = staged ?? begin(this)
    if (staged === undefined && plan.staged.length > 0 && !this.#stage(op, peer, opcode)) return
    native.transferList(at, op, peer, opcode, plan.numbers, this.timeoutMs)
  }

  /** False when there is no room: the operation has ended with the reason. */
  #stage(op: number, peer: number, opcode: number): boolean {
    const plan = this.#plan
    if (!native.stageBytes(attached(), op, peer, opcode, plan.stagedBytes)) return false
    if (this.#direction === 'write') {
      for (const { entry, view } of plan.staged) {
        native.stageIn(attached(), op, plan.numbers[entry * FIELDS + 1] as number, view)
      }
    }
    return true
  }

  /** Copies what is staged under `op` to where it belongs, unless JavaScript took some of that memory away. */
  #deliver(op: number): void {
    const plan = this.#plan
    for (const { entry, view } of plan.staged) {
      if (view.byteLength >= plan.lengthOf(entry)) continue
      native.discard(attached(), op)
      throw unsafeMemoryError(`assignments[${entry}].local was detached while the operation was under way`, entry)
    }
    for (const { entry, view } of plan.staged) {
      const length = plan.lengthOf(entry)
      const target = view.byteLength === length ? view : view.subarray(0, length)
      if (length > 0) native.stageOut(attached(), op, plan.numbers[entry * FIELDS + 1] as number, target)
    }
  }
}

function subjectOf(remote: Remote, direction: Direction, plan: Plan): OperationSubject {
  const operation = direction === 'read' ? 'readBatch' : 'writeBatch'
  return { operation, peer: remote.label, region: plan.region, bytes: plan.bytes, entries: plan.entries }
}

/** Starts a plan, with the deadline and the signal of `options`, whose keys were checked. */
export function startPlan(
  remote: Remote,
  direction: Direction,
  options: BatchOptions | undefined,
  plan: () => Plan
): TransferFuture<number> {
  const timeoutMs = options?.timeoutMs === undefined ? DEFAULT_TIMEOUT_MS : checkTimeout(options.timeoutMs)
  const signal = options?.signal === undefined ? undefined : checkSignal(options.signal)
  remote.lifetime.use()
  const checked = plan()
  if (signal?.aborted === true) {
    return Settled.failed(abortedError(direction, signal.reason), subjectOf(remote, direction, checked))
  }
  const transfer = new ListTransfer(remote, direction, checked, timeoutMs).start()
  return followed(transfer, signal)
}

/** `readBatch` and `writeBatch`. */
export function startBatch(
  remote: Remote,
  direction: Direction,
  entries: readonly Assignment[] | Float64Array,
  options: BatchOptions | DescriptorOptions | undefined
): TransferFuture<number> {
  checkBatchKeys(entries, options, ['timeoutMs', 'signal'])
  return startPlan(remote, direction, options, () => planOf(remote, direction, entries, options))
}
