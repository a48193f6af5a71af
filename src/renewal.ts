import { clearTimeout, setTimeout } from 'node:timers'
import type { Announcement } from './directory.js'

/** How one directory keeps one announcement. */
export interface Keeper {
  /** Whether the announcement still has its name. Rejects when the directory does not say. */
  renew(): Promise<boolean>
  /** Gives the name back if the announcement still has it. */
  withdraw(): Promise<void>
  /** Told of the first of several renewals in a row that rejected. */
  troubled?(error: unknown): void
}

/** How much sooner than its period a renewal may come, as a part of it. */
const JITTER = 0.2

/**
 * An announcement that asks every so often whether it still has its name. It does not hold the process.
 *
 * A fleet that starts together, or whose directory held it up, does not ask in step: the first question comes at any time within
 * the period, and each later one a little before its end.
 */
export class Renewal implements Announcement {
  readonly name: string
  readonly lost: Promise<void>
  readonly #everyMs: number
  readonly #keeper: Keeper
  #timer: NodeJS.Timeout | undefined = undefined
  #renewing: Promise<void> | undefined = undefined
  #closing: Promise<void> | undefined = undefined
  #lose: () => void = () => undefined
  #isLost = false
  #inTrouble = false

  constructor(name: string, everyMs: number, keeper: Keeper) {
    this.name = name
    this.#everyMs = everyMs
    this.#keeper = keeper
    this.lost = new Promise((resolve) => {
      this.#lose = resolve
    })
    this.#schedule(Math.random())
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer)
    // A renewal that came in behind the withdrawal would undo it.
    await this.#renewing
    if (!this.#isLost) await this.#keeper.withdraw()
  }

  /** The next renewal, after so much of the period. */
  #schedule(part: number): void {
    if (this.#closing !== undefined || this.#isLost) return
    this.#timer = setTimeout(() => {
      this.#renewing = this.#renew()
    }, this.#everyMs * part).unref()
  }

  async #renew(): Promise<void> {
    try {
      if (await this.#keeper.renew()) {
        this.#inTrouble = false
      } else {
        this.#isLost = true
        this.#lose()
        await this.#keeper.withdraw()
      }
    } catch (error) {
      if (!this.#inTrouble) this.#tell(error)
      this.#inTrouble = true
    } finally {
      this.#schedule(1 - JITTER * Math.random())
    }
  }

  #tell(error: unknown): void {
    try {
      this.#keeper.troubled?.(error)
    } catch (thrown) {
      // What a program's own callback throws is its to see, and no reason to stop renewing.
      void Promise.reject(thrown as Error)
    }
  }
}
