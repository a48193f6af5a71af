import { setImmediate as turn } from 'node:timers/promises'
import type { MemoryRegion, Received } from '../../../index.js'
import { Hasher } from '../hashing/hasher.js'
import { ACKS, MAX_RANGES, readSlot, slotOffset, STATE, writeSlot, type Ask, type Slot } from '../sharing/protocol.js'
import { identityOf, type Offer } from './offer.js'

/** A file that changes so often while it is read has no checksum. */
const MOST_TRIES = 3
/** Slots that are looked at before everybody else has a turn. */
const SLOTS_A_TURN = 500

type Range = Ask['slots'][number]

/** What a message asks for; nothing where it is none. */
function askOf(bytes: Uint8Array, slots: number): Ask | undefined {
  let value: Partial<Ask>
  try {
    value = (JSON.parse(Buffer.from(bytes).toString()) ?? {}) as Partial<Ask>
  } catch {
    return undefined
  }
  const { slots: ranges, sha256, ack, fresh } = value
  const isPair = (pair: unknown, most: number): boolean =>
    Array.isArray(pair) && pair.length === 2 && pair.every((one) => Number.isInteger(one) && one >= 0 && one <= most)
  if (!Array.isArray(ranges) || ranges.length > MAX_RANGES || !ranges.every((range) => isPair(range, slots) && range[0] <= range[1])) return undefined
  // Ascending and disjoint: nobody can ask for the same slot a thousand times.
  if (ranges.some(([from], index) => index > 0 && from < (ranges[index - 1] as Range)[1])) return undefined
  if (fresh !== undefined && typeof fresh !== 'boolean') return undefined
  if (typeof sha256 !== 'boolean' || !isPair(ack, 0xffff_ffff) || (ack?.[0] ?? ACKS) >= ACKS) return undefined
  return value as Ask
}

/** Answers those who ask for checksums: in a region that they read, because nobody can be answered who cannot be dialled. */
export class Checksums {
  readonly #offer: Offer
  readonly #sums: Buffer
  readonly #hasher = new Hasher()
  /** Slots whose checksum is being made, or waits for that: each once, so that asks make no more work than that. */
  readonly #making = new Set<number>()
  /** The number of the computation of a slot that was begun last. */
  readonly #begun = new Map<number, number>()
  #running = 0

  constructor(offer: Offer, sums: MemoryRegion) {
    this.#offer = offer
    this.#sums = Buffer.from(sums.buffer)
  }

  /** Regions whose checksum is being made. */
  get running(): number {
    return this.#running
  }

  /** Takes a message; what makes no sense is nobody's. It gives up when the signal fires. */
  async answer({ data }: Received, signal: AbortSignal): Promise<void> {
    const ask = askOf(data, this.#offer.parts.length)
    if (ask === undefined) return
    const identities = new Map<number, string>()
    let looked = 0
    for (const [from, to] of ask.slots) {
      for (let index = from; index < to; index++) {
        const file = this.#offer.parts[index]?.file as number
        const identity = identities.get(file) ?? (await this.#identity(file))
        identities.set(file, identity)
        this.#look(index, identity, ask)
        if (++looked % SLOTS_A_TURN > 0) continue
        await turn()
        if (signal.aborted) return
      }
    }
    const [cell, value] = ask.ack
    this.#sums.writeUInt32LE(value, 4 * cell)
  }

  end(): Promise<void> {
    return this.#hasher.end()
  }

  #identity(file: number): Promise<string> {
    return identityOf((this.#offer.files[file] as Offer['files'][number]).handle)
  }

  #look(index: number, identity: string, { sha256: isWanted, fresh = false }: Ask): void {
    const at = slotOffset(index)
    const { state, due, ...slot } = readSlot(this.#sums, at)
    const isFresh = fresh && isWanted
    const isKnown = slot.identity === identity && (state === STATE.done || state === STATE.working)
    if (isKnown && !isFresh) return
    // What is being read may be from before the ask: all who ask meanwhile share the next computation.
    const next = isFresh ? (this.#begun.get(index) ?? 0) + 1 : due
    const isMade = isWanted || this.#making.has(index)
    // A sum that is known stays: whoever waits for that very one has it, whatever others ask.
    writeSlot(this.#sums, at, isKnown ? { ...slot, state, due: next } : { state: isMade ? STATE.working : STATE.unknown, made: 0, due: next, identity, sha256: '' })
    if (isWanted && !this.#making.has(index)) void this.#make(index)
  }

  /** Makes the checksum of a region: again while a later one is due, and if its file was changed meanwhile. */
  async #make(index: number): Promise<void> {
    const { file, offset, bytes } = this.#offer.parts[index] as Offer['parts'][number]
    const handle = this.#offer.files[file]?.handle
    const at = slotOffset(index)
    const slot = (): Slot => readSlot(this.#sums, at)
    this.#making.add(index)
    this.#running++
    try {
      for (let tries = 0; tries < MOST_TRIES; ) {
        const made = (this.#begun.get(index) ?? 0) + 1
        this.#begun.set(index, made)
        const before = await this.#identity(file)
        const digest = await this.#hasher.of(handle?.fd ?? -1, offset, bytes)
        const identity = await this.#identity(file)
        const { due } = slot()
        if (identity === before) {
          writeSlot(this.#sums, at, { state: STATE.done, made, due, identity, sha256: digest.toString('hex') })
          if (due <= made) return
          tries = 0
        } else {
          writeSlot(this.#sums, at, { state: STATE.working, made: 0, due, identity, sha256: '' })
          tries++
        }
      }
      writeSlot(this.#sums, at, { ...slot(), state: STATE.failed })
    } catch {
      // The file has lost bytes, or the hasher has ended.
      writeSlot(this.#sums, at, { ...slot(), state: STATE.failed })
    } finally {
      this.#making.delete(index)
      this.#running--
    }
  }
}
