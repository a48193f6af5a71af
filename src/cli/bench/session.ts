import { totalmem } from 'node:os'
import { TcpEndpoint, type ListenOptions, type Peer, type PeerInfo } from '../../../index.js'
import { CliError } from '../failure.js'
import { sizeText } from '../units.js'
import { machine } from './machine.js'
import { Measurement, type Way } from './measurement.js'
import { OwnTarget } from './own-target.js'
import { spanOf, warmupOf, type Plan } from './plan.js'
import { allows, chosenRegion } from './region.js'
import { rowOf, type Op, type Result } from './result.js'

/** Tells what is under way: the row's place among all, and its operations so far. */
export type Tell = (op: Op, bytes: number, row: number, rows: number, operations: number) => void

export interface SessionOptions {
  plan: Plan
  /** Whom to measure; a process of its own where nobody. */
  target: string | PeerInfo | undefined
  listen: ListenOptions
  timeoutMs: number
  command: string
  signal: AbortSignal
}

const TELL_MS = 200

const ARRIVED = "the bytes are in the initiator's memory"
const APPLIED = { native: 'the target has answered that the bytes are in its memory', legacy: 'the bytes have left for the target' } as const

/** One run: the peer, the region, and what was measured so far. */
export class Session {
  readonly result: Result
  readonly #options: SessionOptions
  readonly #way: Way
  readonly #endpoint: TcpEndpoint
  readonly #own: OwnTarget | undefined
  /** Whether what is written can be what was there. */
  readonly isReadable: boolean

  private constructor(options: SessionOptions, endpoint: TcpEndpoint, peer: Peer, own: OwnTarget | undefined) {
    const { plan, timeoutMs, command } = options
    const [region, { length, access }] = chosenRegion(peer, plan.ops, plan.region)
    if (plan.sizes.every((size) => size > length)) throw new CliError(`the region ${JSON.stringify(region)} has ${sizeText(length)}, less than any of --sizes`)
    const local = endpoint.alloc('local', spanOf(plan, length))
    this.#options = options
    this.#endpoint = endpoint
    this.#own = own
    this.#way = { peer, region, local, timeoutMs }
    this.isReadable = allows('read', access)
    this.result = {
      date: new Date().toISOString(),
      command,
      machine: machine(),
      target: {
        kind: own === undefined ? 'peer' : 'own',
        address: `${peer.host.includes(':') ? `[${peer.host}]` : peer.host}:${peer.port}`,
        wire: peer.wire,
        region,
        region_bytes: length,
        busy: plan.busy,
        checked: false,
      },
      completion: { read: ARRIVED, write: APPLIED[peer.wire] },
      depth: plan.depth,
      lanes: plan.lanes,
      seconds: plan.seconds,
      warmup_seconds: warmupOf(plan),
      ended: 'complete',
      rows: [],
      left_out: plan.sizes.filter((size) => size > length),
    }
  }

  static async open(options: SessionOptions): Promise<Session> {
    const { plan, target, listen, timeoutMs, signal } = options
    // Both processes touch all of theirs, which a system that promises more than it has takes badly.
    if (target === undefined && 2 * spanOf(plan) > totalmem()) throw new CliError(`twice ${sizeText(spanOf(plan))} is more memory than this machine has: choose smaller --sizes`)
    const own = target === undefined ? new OwnTarget() : undefined
    let endpoint: TcpEndpoint | undefined
    try {
      const info = target ?? (await (own as OwnTarget).serve(spanOf(plan)))
      endpoint = await TcpEndpoint.listen({ ...listen, lanesPerPeer: plan.lanes })
      const peer = await endpoint.connect(info, { timeoutMs, signal })
      return new Session(options, endpoint, peer, own)
    } catch (error) {
      await endpoint?.close({ drainMs: 0 })
      await own?.stop()
      throw error
    }
  }

  /**
   * Measures each row of the plan; an abort ends it, and `result` has what was measured until then, whole rows and the one under way.
   *
   * @throws the first failure of an operation; `result` has what was measured until then
   */
  async measure(tell: Tell): Promise<void> {
    const { plan, signal } = this.#options
    const rows = plan.sizes.filter((size) => !this.result.left_out.includes(size)).flatMap((size) => plan.ops.map((op) => [op, size] as const))
    try {
      await this.#prepare()
      for (const [index, [op, bytes]] of rows.entries()) {
        if (signal.aborted) break
        await this.#measureRow(op, bytes, (operations) => tell(op, bytes, index + 1, rows.length, operations))
      }
    } catch (error) {
      this.result.ended = 'failed'
      throw error
    } finally {
      if (signal.aborted) this.result.ended = 'interrupted'
    }
  }

  async #prepare(): Promise<void> {
    if (this.#own === undefined) return
    await this.#own.check(this.#way.peer, this.#way.local)
    this.result.target.checked = true
    if (this.#options.plan.busy) await this.#own.busy()
  }

  async #measureRow(op: Op, bytes: number, tell: (operations: number) => void): Promise<void> {
    const { plan, signal } = this.#options
    const measurement = new Measurement(this.#way, op, bytes, plan.depth)
    tell(0)
    if (op === 'write' && this.#own === undefined && this.isReadable) await this.#fetch(measurement.slots * bytes)
    await new Measurement(this.#way, op, bytes, plan.depth).run(warmupOf(plan), signal)
    if (signal.aborted) return
    const timer = setInterval(() => tell(measurement.latencies.count), TELL_MS)
    let complete = false
    try {
      await measurement.run(plan.seconds, signal)
      complete = !signal.aborted
    } finally {
      clearInterval(timer)
      const { latencies, seconds } = measurement
      if (latencies.count > 0) this.result.rows.push(rowOf(op, bytes, latencies, seconds, complete))
    }
  }

  /** What is written to somebody's region is what was there, so that a run changes nothing, however it ends. */
  async #fetch(length: number): Promise<void> {
    const { peer, region, local, timeoutMs } = this.#way
    await peer.read(region, { into: local, length, timeoutMs, signal: this.#options.signal })
  }

  async close(): Promise<void> {
    await this.#endpoint.close({ drainMs: 0 })
    await this.#own?.stop()
  }
}
