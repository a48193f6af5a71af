import test, { type ExecutionContext } from 'ava'
import { type MemoryRegion, type Peer, TcpEndpoint } from 'memlane'
import { pattern, seed } from '../support/raw-random'
import { wheel } from './environment'
import { type Info, WheelPeer } from './peer'

export { eventually, type Info, type WheelPeer } from './peer'

/** The sizes at which a transfer may change its path: one byte, a header's worth, a page, both sides of a mebibyte, many chunks. */
export const SIZES = [1, 17, 4096, (1 << 20) - 1, (1 << 20) + 1, 64 << 20] as const

const TEST_TIMEOUT_MS = 300_000

/** What one test has of both worlds; all of it is gone when the test ends. */
export class Rig {
  readonly #python: string
  readonly #wheels: WheelPeer[] = []
  readonly #endpoints: TcpEndpoint[] = []

  constructor(python: string) {
    this.#python = python
  }

  /** A wheel endpoint in its process, listening. */
  async wheel(): Promise<WheelPeer> {
    const peer = new WheelPeer(this.#python)
    this.#wheels.push(peer)
    await peer.listen()
    return peer
  }

  async endpoint(options: Parameters<typeof TcpEndpoint.listen>[0] = {}): Promise<TcpEndpoint> {
    const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0, ...options })
    this.#endpoints.push(endpoint)
    return endpoint
  }

  /** Both sides know each other: the info of each went to the other as JSON text. */
  async rendezvous(endpoint: TcpEndpoint, wheel: WheelPeer): Promise<Peer> {
    const ours = JSON.parse(JSON.stringify(endpoint.endpointInfo())) as Info
    const theirs = JSON.parse(JSON.stringify(await wheel.info())) as Info
    const [peer] = await Promise.all([endpoint.connect(theirs), wheel.connect(ours)])
    return peer
  }

  get output(): string {
    return this.#wheels.map((wheel) => wheel.output).join('')
  }

  async close(): Promise<void> {
    await Promise.all(this.#wheels.map((wheel) => wheel.stop()))
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()))
  }
}

/**
 * A test against the wheel. Where the wheel cannot be had it says why and passes, unless `MEMLANE_INTEROP=required`, which makes
 * that a failure.
 */
export function withWheel(title: string, body: (t: ExecutionContext, rig: Rig) => Promise<void>): void {
  test.serial(title, async (t) => {
    t.timeout(TEST_TIMEOUT_MS)
    const { WHEEL_VERSION, wheelPython } = await wheel
    const found = await wheelPython()
    if ('missing' in found) {
      announceSkip(found.missing)
      t.log(`skipped: ${found.missing}`)
      if (process.env.MEMLANE_INTEROP === 'required') t.fail(found.missing)
      else t.pass()
      return
    }
    const rig = new Rig(found.python)
    try {
      await body(t, rig)
    } finally {
      await rig.close()
      if (!t.passed) t.log(`MEMLANE_SEED=${seed}\ndlslime ${WHEEL_VERSION} said: ${rig.output || 'nothing'}`)
    }
  })
}

let announced = false

function announceSkip(why: string): void {
  if (!announced) console.warn(`skipped: ${why}`)
  announced = true
}

/** A seeded content of `length` bytes. */
export function content(key: string, length: number): Buffer {
  return pattern(`${seed}/${key}`, length)
}

/** The key under which `WheelPeer.fill` makes the bytes of `content(key, …)`. */
export function contentKey(key: string): string {
  return `${seed}/${key}`
}

/** The region's bytes, for the test to fill or to compare. */
export function bytesOf(region: MemoryRegion): Uint8Array {
  return new Uint8Array(region.buffer)
}

/** `base` with `part` laid over it at `offset`. */
export function patched(base: Uint8Array, offset: number, part: Uint8Array): Buffer {
  const whole = Buffer.from(base)
  whole.set(part, offset)
  return whole
}

/** How many requests an endpoint refused, whatever the reason. */
export function refusals(endpoint: TcpEndpoint): number {
  const { rejected, protocolErrors } = endpoint.stats()
  return Object.values(rejected).reduce((sum, count) => sum + count, protocolErrors)
}
