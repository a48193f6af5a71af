import type { MemoryRegion, Received } from '../../../index.js'
import { Hasher } from '../hashing/hasher.js'
import { ACKS, MAX_RANGES, readSlot, slotOffset, STATE, writeSlot, type Ask } from '../sharing/protocol.js'
import { identityOf, type Offer } from './offer.js'

/** A file that changes so often while it is read has no checksum. */
const MOST_TRIES = 3

/** What a message asks for; nothing where it is none. */
function askOf(bytes: Uint8Array, slots: number): Ask | undefined {
  let value: Partial<Ask>
  try {
    value = (JSON.parse(Buffer.from(bytes).toString()) ?? {}) as Partial<Ask>
  } catch {
    return undefined
  }
  const { slots: ranges, sha256, ack } = value
  const isPair = (pair: unknown, most: number): boolean =>
    Array.isArray(pair) && pair.length === 2 && pair.every((one) => Number.isInteger(one) && one >= 0 && one <= most)
  if (!Array.isArray(ranges) || ranges.length > MAX_RANGES || !ranges.every((range) => isPair(range, slots) && range[0] <= range[1])) return undefined
  if (typeof sha256 !== 'boolean' || !isPair(ack, 0xffff_ffff) || (ack?.[0] ?? ACKS) >= ACKS) return undefined
  return value as Ask
}

/** Answers those who ask for checksums: in a region that they read, because nobody can be answered who cannot be dialled. */
export class Checksums {
  readonly #offer: Offer
  readonly #sums: Buffer
  readonly #hasher = new Hasher()
  /** Slots whose hash is being made, or waits for that. */
  readonly #waiting = new Set<number>()
  #running = 0

  constructor(offer: Offer, sums: MemoryRegion) {
    this.#offer = offer
    this.#sums = Buffer.from(sums.buffer)
  }

  /** Regions whose checksum is being made. */
  get running(): number {
    return this.#running
  }

  /** Takes a message; what makes no sense is nobody's. */
  async answer({ data }: Received): Promise<void> {
    const ask = askOf(data, this.#offer.parts.length)
    if (ask === undefined) return
    const identities = new Map<number, string>()
    for (const [from, to] of ask.slots) {
      for (let index = from; index < to; index++) {
        const file = this.#offer.parts[index]?.file as number
        const identity = identities.get(file) ?? (await this.#identity(file))
        identities.set(file, identity)
        this.#look(index, identity, ask.sha256)
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

  #look(index: number, identity: string, isWanted: boolean): void {
    const at = slotOffset(index)
    const slot = readSlot(this.#sums, at)
    const isCurrent = slot.identity === identity && (slot.state === STATE.done || slot.state === STATE.working)
    if (isCurrent) return
    const isMade = isWanted || this.#waiting.has(index)
    writeSlot(this.#sums, at, { state: isMade ? STATE.working : STATE.unknown, identity, sha256: '' })
    if (isWanted && !this.#waiting.has(index)) void this.#make(index)
  }

  /** Makes the checksum of a region, anew if its file was changed meanwhile. */
  async #make(index: number): Promise<void> {
    const { file, offset, bytes } = this.#offer.parts[index] as Offer['parts'][number]
    const handle = this.#offer.files[file]?.handle
    const at = slotOffset(index)
    this.#waiting.add(index)
    this.#running++
    try {
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const before = await this.#identity(file)
        const digest = await this.#hasher.of(handle?.fd ?? -1, offset, bytes)
        const identity = await this.#identity(file)
        if (identity === before) return writeSlot(this.#sums, at, { state: STATE.done, identity, sha256: digest.toString('hex') })
        writeSlot(this.#sums, at, { state: STATE.working, identity, sha256: '' })
      }
      writeSlot(this.#sums, at, { ...readSlot(this.#sums, at), state: STATE.failed })
    } catch {
      // The file has lost bytes, or the hasher has ended.
      writeSlot(this.#sums, at, { ...readSlot(this.#sums, at), state: STATE.failed })
    } finally {
      this.#waiting.delete(index)
      this.#running--
    }
  }
}
