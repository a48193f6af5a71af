import type { MemoryRegion, TcpEndpoint } from '../../../index.js'
import { harmless, type Screen } from '../screen.js'
import { durationText, rateText, sizeText } from '../units.js'
import type { Checksums } from './checksums.js'
import { columns } from './table.js'
import type { Visitors } from './visitors.js'

const PERIOD_MS = 1000
/** Asking very many regions for their counters each second would be work of its own. */
const MOST_REGIONS = 2000
const MOST_SHOWN = 5
const MOST_PEERS = 10

/** What has moved since somebody last looked. */
interface Moved {
  name: string
  bytes: number
}

/** Tells each second who is there and how much goes to them. */
export class Watch {
  readonly #endpoint: TcpEndpoint
  readonly #regions: readonly MemoryRegion[]
  readonly #visitors: Visitors
  readonly #checksums: Checksums
  readonly #screen: Screen
  readonly #timer: NodeJS.Timeout
  readonly #before: number[] = []
  #last = performance.now()
  #served = 0
  #stored = 0

  constructor(endpoint: TcpEndpoint, regions: readonly MemoryRegion[], visitors: Visitors, checksums: Checksums, screen: Screen) {
    this.#endpoint = endpoint
    this.#regions = regions.length > MOST_REGIONS ? [] : regions
    this.#visitors = visitors
    this.#checksums = checksums
    this.#screen = screen
    this.#busiest()
    this.#timer = setInterval(() => this.#tell(), PERIOD_MS)
  }

  end(): void {
    clearInterval(this.#timer)
  }

  #tell(): void {
    const now = performance.now()
    const seconds = (now - this.#last) / 1000
    this.#last = now
    const { bytes } = this.#endpoint.stats()
    const served = bytes.served - this.#served
    const stored = bytes.stored - this.#stored
    this.#served = bytes.served
    this.#stored = bytes.stored
    const here = this.#visitors.here
    const busiest = this.#busiest()
    this.#screen.document({
      served_bytes: bytes.served,
      bytes_per_second: served / seconds,
      stored_bytes: bytes.stored,
      stored_per_second: stored / seconds,
      checksums_running: this.#checksums.running,
      peers: here.map(({ address, wire, since }) => ({ address, wire, seconds: (now - since) / 1000 })),
      busiest: busiest.map(({ name, bytes: moved }) => ({ name, bytes_per_second: moved / seconds })),
    })
    const written = bytes.stored > 0 ? `, written ${sizeText(bytes.stored)} at ${rateText(stored / seconds)}` : ''
    const sums = this.#checksums.running > 0 ? `, ${this.#checksums.running} checksums under way` : ''
    const head = `served ${bytes.served === 0 ? 'nothing' : `${sizeText(bytes.served)} at ${rateText(served / seconds)}`}${written}, ${here.length === 1 ? '1 peer' : `${here.length} peers`}${sums}`
    this.#screen.picture(this.#screen.rows === undefined ? [head] : [head, ...this.#details(now, seconds, busiest)].slice(0, this.#screen.rows - 1))
  }

  #details(now: number, seconds: number, busiest: readonly Moved[]): string[] {
    const here = this.#visitors.here
    const peers = here.slice(0, MOST_PEERS).map(({ address, wire, since }) => [address, wire, `for ${durationText(now - since)}`])
    if (here.length > MOST_PEERS) peers.push([`… and ${here.length - MOST_PEERS} more`, '', ''])
    const regions = busiest.map(({ name, bytes }) => [harmless(name), rateText(bytes / seconds)])
    return [...columns(peers), ...columns(regions)].map((line) => `  ${line}`.slice(0, this.#screen.columns))
  }

  /** The regions of which most went out since this was last asked. */
  #busiest(): Moved[] {
    const moved = this.#regions.map((region, index) => {
      const { served } = region.stats().bytes
      const bytes = served - (this.#before[index] ?? 0)
      this.#before[index] = served
      return { name: region.name, bytes }
    })
    return moved
      .filter(({ bytes }) => bytes > 0)
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, MOST_SHOWN)
  }
}
