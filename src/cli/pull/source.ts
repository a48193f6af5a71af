import { createHash, randomInt, randomUUID } from 'node:crypto'
import { setTimeout as rest } from 'node:timers/promises'
import { MemlaneError, type Peer, type RegionInfo } from '../../../index.js'
import { CliError, EXIT } from '../failure.js'
import { ACKS, ASK_TAG, MAX_RANGES, readSlot, SLOT_BYTES, slotOffset, STATE, SUMS, type Ask, type Slot } from '../sharing/protocol.js'
import { harmless } from '../screen.js'
import { durationText } from '../units.js'
import { NotYetError, readCatalogue, wrong, type Catalogue, type Item } from './catalogue.js'

const FIRST_REST_MS = 5
const LONGEST_REST_MS = 250
/** Of messages that ask; all of them are answered at once. */
const ANSWER_MS = 10_000
const ACK_MS = 1000
/** How long no further sum may come, at least; and how fast the peer computes them, at least. */
const LEAST_PATIENCE_MS = 60_000
const LEAST_BYTES_PER_MS = 10_000

/** The peer has other bytes than when the pull began. */
export class ChangedError extends Error {}

/** What may pass: the peer was away, or is not whole yet. */
export function isPassing(error: unknown): boolean {
  if (error instanceof NotYetError) return true
  return error instanceof MemlaneError && ['ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_TIMEOUT', 'ERR_REGION_NOT_FOUND', 'ERR_NO_RECEIVE'].includes(error.code)
}

/** Asks of one kind, one behind the other. */
class Asks {
  /** Slots that the next one is for. */
  readonly wanted = new Set<number>()
  next: Promise<void> | undefined
  last: Promise<void> = Promise.resolve()
}

/** Whom is pulled from, and that it is still the same. */
export class Source {
  readonly peer: Peer
  readonly label: string
  readonly #signal: AbortSignal
  readonly #timeoutMs: number
  readonly #leastPatienceMs: number
  #catalogue: Catalogue
  /** Whether checksums are wanted, and not only what tells that a file has changed. */
  readonly #isVerifying: boolean
  /** Another one each time. */
  readonly #start = randomUUID()
  #items: readonly Item[] = []
  #identities = new Map<string, string>()
  #seen: ReadonlyMap<string, RegionInfo>
  #settling: Promise<void> | undefined
  readonly #asks: Readonly<Record<'known' | 'fresh', Asks>> = { known: new Asks(), fresh: new Asks() }
  #lastSum = 0

  private constructor(peer: Peer, catalogue: Catalogue, isVerifying: boolean, timeoutMs: number, signal: AbortSignal, leastPatienceMs: number) {
    this.peer = peer
    this.label = `${peer.host.includes(':') ? `[${peer.host}]` : peer.host}:${peer.port}`
    this.#catalogue = catalogue
    this.#isVerifying = isVerifying
    this.#timeoutMs = timeoutMs
    this.#leastPatienceMs = leastPatienceMs
    this.#signal = signal
    this.#seen = peer.regions
  }

  /** What the peer has; one that has not all of it yet is given as long as a deadline. */
  static async open(peer: Peer, isVerifying: boolean, timeoutMs: number, signal: AbortSignal, leastPatienceMs = LEAST_PATIENCE_MS): Promise<Source> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      try {
        return new Source(peer, await readCatalogue(peer, signal), isVerifying, timeoutMs, signal, leastPatienceMs)
      } catch (error) {
        if (!(error instanceof NotYetError)) throw error
        if (performance.now() > deadline) throw new CliError(`${peer.host}:${peer.port} was not ready within ${durationText(timeoutMs)}: ${error.message}`, { code: 'ERR_TIMEOUT', status: EXIT.unreachable, cause: error })
      }
      await rest(LONGEST_REST_MS, undefined, { signal })
      await peer.refresh({ timeoutMs, signal })
    }
  }

  get catalogue(): Catalogue {
    return this.#catalogue
  }

  /** Whether its checksums are asked for. */
  get isVerifying(): boolean {
    return this.#isVerifying && this.#catalogue.isServed
  }

  /** Takes note of what the items are now, so that a change is noticed; asks for their checksums. */
  async choose(items: readonly Item[]): Promise<void> {
    this.#items = items
    this.#identities = await this.#identify(items)
    this.#seen = this.peer.regions
  }

  /** What the bytes of items are known by. */
  identityOf(items: readonly Item[]): string {
    const hash = createHash('sha256')
    for (const { name } of items) hash.update(`${this.#identities.get(name) ?? ''}\n`)
    return hash.digest('hex')
  }

  /** Whether the peer has described itself anew: `settle` then tells whether it has the same still. */
  get isUnsettled(): boolean {
    return this.peer.regions !== this.#seen
  }

  /** Asks the peer whether it still has the same; throws a {@link ChangedError} if not. */
  settle(): Promise<void> {
    this.#settling ??= this.#settle().finally(() => {
      this.#settling = undefined
    })
    return this.#settling
  }

  async #settle(): Promise<void> {
    await this.peer.refresh({ timeoutMs: this.#timeoutMs, signal: this.#signal })
    const catalogue = await readCatalogue(this.peer, this.#signal)
    const now = new Map(catalogue.items.map((item) => [item.name, item]))
    const items = this.#items.map((item) => {
      const one = now.get(item.name)
      // One that does not serve yet, or no more: whoever waits for it gives up in time.
      if (one === undefined) throw new NotYetError(`${this.label} has no region ${harmless(JSON.stringify(item.name))} any more`)
      return one
    })
    const identities = await this.#identify(items)
    const isSame = items.every((item, index) => {
      const before = this.#items[index] as Item
      return item.bytes === before.bytes && item.dtype === before.dtype && String(item.shape) === String(before.shape) && identities.get(item.name) === this.#identities.get(item.name)
    })
    this.#catalogue = catalogue
    if (!isSame) throw new ChangedError(`${this.label} has other bytes than when this began`)
    this.#items = items
    this.#seen = this.peer.regions
  }

  /**
   * The SHA-256 of items, as the peer has it; waits until it has, as long as sums come. Throws a {@link ChangedError} where they are
   * others now. With `isFresh` those alone count that the peer begins to compute after this.
   */
  async sumsOf(items: readonly Item[], isFresh = false): Promise<Map<string, string>> {
    const sums = new Map<string, string>()
    const isOpen = ({ name, slot }: Item): boolean => slot !== undefined && !sums.has(name)
    const due = new Map<string, number>()
    await this.#ask(items, isFresh)
    const begin = performance.now()
    for (let pause = FIRST_REST_MS; items.some(isOpen); pause = Math.min(pause * 2, LONGEST_REST_MS)) {
      const open = items.filter(isOpen)
      const slots = await this.#slots(open)
      for (const { name, slot } of open) {
        const { state, made, identity, sha256, ...asked } = slots.get(slot as number) as Slot
        // As it is after the ask: what others ask for later is not waited for.
        if (isFresh && !due.has(name)) due.set(name, asked.due)
        if (identity !== this.#identities.get(name) || state === STATE.failed) throw new ChangedError(`${this.label} has other bytes in ${harmless(JSON.stringify(name))} than when this began`)
        if (state > STATE.failed) throw wrong(`has a sum in state ${state}, which nobody knows`)
        if (state !== STATE.done || made < (due.get(name) ?? 0)) continue
        sums.set(name, sha256)
        this.#lastSum = performance.now()
      }
      if (!items.some(isOpen)) break
      if (performance.now() - Math.max(begin, this.#lastSum) > this.#patienceMs) {
        throw new CliError(`${this.label} has computed no further SHA-256 in ${durationText(this.#patienceMs)}: what came is kept; --verify never does without`, { code: 'ERR_TIMEOUT', status: EXIT.unreachable })
      }
      await rest(pause, undefined, { signal: this.#signal })
    }
    return sums
  }

  /** How long no further sum may come: the peer may be at the others of this pull, one by one. */
  get #patienceMs(): number {
    const bytes = this.#items.reduce((sum, item) => sum + item.bytes, 0)
    return Math.max(this.#timeoutMs, this.#leastPatienceMs) + bytes / LEAST_BYTES_PER_MS
  }

  async #identify(items: readonly Item[]): Promise<Map<string, string>> {
    const { regions } = this.peer
    // A region is never at the address of another, whatever happens at the peer. Of a legacy peer nobody knows that.
    const start = this.peer.wire === 'legacy' ? this.#start : ''
    if (!this.#catalogue.isServed) return new Map(items.map(({ name }) => [name, `${regions.get(name)?.addr} ${start}`]))
    await this.#ask(items)
    const slots = await this.#slots(items)
    return new Map(items.map(({ name, slot }) => [name, slot === undefined ? '' : (slots.get(slot)?.identity ?? '')]))
  }

  /** Has the peer look at its files; when this resolves, the slots are as the files are now. Those who want that at once ask together. */
  #ask(items: readonly Item[], isFresh = false): Promise<void> {
    const asks = this.#asks[isFresh ? 'fresh' : 'known']
    for (const { slot } of items) if (slot !== undefined) asks.wanted.add(slot)
    if (asks.next === undefined) {
      asks.next = asks.last
        .catch(() => undefined)
        .then(() => {
          asks.next = undefined
          const ranges = rangesOf([...asks.wanted])
          asks.wanted.clear()
          return this.#askFor(ranges, isFresh)
        })
      asks.last = asks.next
    }
    return asks.next
  }

  async #askFor(ranges: readonly (readonly [number, number])[], isFresh: boolean): Promise<void> {
    for (let from = 0; from < ranges.length; from += MAX_RANGES) {
      const slots = ranges.slice(from, from + MAX_RANGES)
      const deadline = performance.now() + ANSWER_MS
      // Somebody else may take the same cell in the same moment; two do not so twice.
      while (!(await this.#isAnswered({ slots, sha256: this.#isVerifying, ...(isFresh && { fresh: true }), ack: [randomInt(ACKS), randomInt(1, 2 ** 32 - 1)] }))) {
        if (performance.now() > deadline) throw new CliError(`${this.label} does not answer for its files: is its process busy, or stopped?`, { code: 'ERR_TIMEOUT', status: EXIT.unreachable })
      }
    }
  }

  /** Asks, and waits a while for the acknowledgement. */
  async #isAnswered(ask: Ask): Promise<boolean> {
    const [cell, value] = ask.ack
    const until = performance.now() + ACK_MS
    await this.peer.send(Buffer.from(JSON.stringify(ask)), { tag: ASK_TAG, timeoutMs: this.#timeoutMs, signal: this.#signal })
    for (let pause = FIRST_REST_MS; ; pause = Math.min(pause * 2, LONGEST_REST_MS)) {
      const bytes = Buffer.from(await this.peer.read(SUMS, { remoteOffset: 4 * cell, length: 4, signal: this.#signal }))
      if (bytes.readUInt32LE(0) === value) return true
      if (performance.now() > until) return false
      await rest(pause, undefined, { signal: this.#signal })
    }
  }

  /** Slots of items, read twice: one that is being stored in that moment is still being worked on. */
  async #slots(items: readonly Item[]): Promise<Map<number, Slot>> {
    const numbers = items.flatMap(({ slot }) => slot ?? [])
    if (numbers.length === 0) return new Map()
    const first = numbers.reduce((least, one) => Math.min(least, one))
    const last = numbers.reduce((most, one) => Math.max(most, one))
    const range = { remoteOffset: slotOffset(first), length: SLOT_BYTES * (last - first + 1), signal: this.#signal }
    const before = Buffer.from(await this.peer.read(SUMS, range))
    const bytes = Buffer.from(await this.peer.read(SUMS, range))
    return new Map(
      numbers.map((number) => {
        const at = SLOT_BYTES * (number - first)
        const slot = readSlot(bytes, at)
        const isSteady = bytes.compare(before, at, at + SLOT_BYTES, at, at + SLOT_BYTES) === 0
        return [number, isSteady ? slot : { ...slot, state: STATE.working }]
      })
    )
  }
}

/** Numbers as ranges, from the first to behind the last. */
export function rangesOf(numbers: readonly number[]): [number, number][] {
  const ranges: [number, number][] = []
  for (const one of [...numbers].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && one <= last[1]) last[1] = Math.max(last[1], one + 1)
    else ranges.push([one, one + 1])
  }
  return ranges
}
