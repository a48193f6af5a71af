import type { MemoryRegion, Peer } from '../../../index.js'
import { Latencies } from './latencies.js'
import type { Op } from './result.js'

/** What operations go where. */
export interface Way {
  peer: Peer
  region: string
  local: MemoryRegion
  timeoutMs: number
}

/** Operations of one kind and size, `depth` of them under way, the next one as soon as one ends. */
export class Measurement {
  readonly latencies = new Latencies()
  readonly #way: Way
  readonly #op: Op
  readonly #bytes: number
  readonly #depth: number
  #start = 0
  #last = 0

  constructor(way: Way, op: Op, bytes: number, depth: number) {
    this.#way = way
    this.#op = op
    this.#bytes = bytes
    this.#depth = depth
  }

  /** From the first call to the last end. */
  get seconds(): number {
    return (this.#last - this.#start) / 1000
  }

  /** Operations that are under way together have bytes of their own, as far as the region goes. */
  get slots(): number {
    return Math.max(1, Math.min(this.#depth, Math.floor(this.#way.local.length / this.#bytes)))
  }

  /**
   * Goes on for `seconds`, and waits for those that began before that. An abort ends it at once, with what has ended until then.
   *
   * @throws what the first operation failed with
   */
  async run(seconds: number, signal: AbortSignal): Promise<void> {
    this.#start = this.#last = performance.now()
    const end = this.#start + seconds * 1000
    const all = Promise.all(Array.from({ length: this.#depth }, (_, index) => this.#loop((index % this.slots) * this.#bytes, end, signal)))
    const { promise, stop } = aborted(signal)
    try {
      await Promise.race([all, promise])
    } finally {
      stop()
      // What is still under way fails when the endpoint closes, and then nobody listens any more.
      all.catch(() => {})
    }
  }

  async #loop(offset: number, end: number, signal: AbortSignal): Promise<void> {
    const start = this.#starter(offset)
    let before = performance.now()
    while (!signal.aborted) {
      await start()
      const now = performance.now()
      if (signal.aborted) return
      this.latencies.add((now - before) * 1000)
      this.#last = before = now
      if (now >= end) return
    }
  }

  #starter(offset: number): () => PromiseLike<number> {
    const { peer, region, local, timeoutMs } = this.#way
    if (this.#op === 'read') {
      const options = { into: local, intoOffset: offset, remoteOffset: offset, length: this.#bytes, timeoutMs }
      return () => peer.read(region, options)
    }
    const options = { sourceOffset: offset, remoteOffset: offset, length: this.#bytes, timeoutMs }
    return () => peer.write(region, local, options)
  }
}

function aborted(signal: AbortSignal): { promise: Promise<void>; stop: () => void } {
  let stop = (): void => {}
  const promise = new Promise<void>((resolve) => {
    const listener = (): void => resolve()
    if (signal.aborted) listener()
    else signal.addEventListener('abort', listener, { once: true })
    stop = () => signal.removeEventListener('abort', listener)
  })
  return { promise, stop }
}
