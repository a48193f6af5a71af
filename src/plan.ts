import { checkRange } from './arguments.js'
import type { RegionInfo } from './options.js'
import { regionHandle, type MemoryRegion } from './region.js'

/** What a batch does. */
export type Direction = 'read' | 'write'

/** Numbers per entry, as the engine takes them: region, offset in it, remote address, length. */
export const FIELDS = 4
/** Stands for the region of an entry whose bytes are staged. */
export const STAGED = -1

/** Memory of JavaScript at the local end of an entry. */
export interface StagedPart {
  entry: number
  view: Uint8Array
}

/** An entry whose length nobody said. */
export interface OpenEntry {
  entry: number
  /** Bytes that its local end has. */
  most: number
}

/** A name that the peer has no region of, and the first entry that wants it. */
export interface Missing {
  name: string
  entry: number
}

/**
 * A checked list of ranges, in the numbers that the engine takes.
 *
 * Remote addresses are offsets in their regions until {@link resolve} has found those.
 */
export class Plan {
  readonly numbers: Float64Array
  /** The regions at local ends, each once. */
  readonly locals: readonly MemoryRegion[]
  /** The memory of JavaScript at local ends, in the order of its entries. */
  readonly staged: StagedPart[]
  /** Of all of {@link staged}. */
  stagedBytes = 0
  readonly #names: readonly string[]
  /** Which name an entry has; absent where there is only one. */
  readonly #nameOf: Uint32Array | undefined
  readonly #open: readonly OpenEntry[]
  /** How an error names an entry. */
  readonly #label: (entry: number) => string
  /** What is contained in the remote addresses already, by name. */
  #bases: number[]
  #from: ReadonlyMap<string, RegionInfo> | undefined = undefined

  constructor(
    numbers: Float64Array,
    names: readonly string[],
    nameOf: Uint32Array | undefined,
    locals: readonly MemoryRegion[],
    label: (entry: number) => string,
    staged: StagedPart[] = [],
    open: readonly OpenEntry[] = []
  ) {
    this.numbers = numbers
    this.locals = locals
    this.staged = staged
    this.#names = names
    this.#nameOf = nameOf
    this.#open = open
    this.#label = label
    this.#bases = names.map(() => 0)
  }

  /** A plan whose addresses were filled in and checked by whoever made it. */
  static resolved(
    numbers: Float64Array,
    name: string,
    base: number,
    from: ReadonlyMap<string, RegionInfo>,
    local: MemoryRegion,
    label: (entry: number) => string
  ): Plan {
    const plan = new Plan(numbers, [name], undefined, [local], label)
    plan.#bases[0] = base
    plan.#from = from
    return plan
  }

  /**
   * Finds the remote regions among `regions` and checks every range against them; tells a name that is not there.
   *
   * Nothing is changed unless all of it fits: a plan that does not stays as it was.
   */
  resolve(regions: ReadonlyMap<string, RegionInfo>): Missing | undefined {
    if (this.#from === regions) return undefined
    const found: RegionInfo[] = []
    for (const [index, name] of this.#names.entries()) {
      const region = regions.get(name)
      if (region === undefined) return { name, entry: this.#nameOf?.indexOf(index) ?? 0 }
      found.push(region)
    }
    const { numbers } = this
    const lengths = this.#lengths(found)
    for (let entry = 0, at = 2; at < numbers.length; entry++, at += FIELDS) {
      const name = this.#nameOf?.[entry] ?? 0
      const { length } = found[name] as RegionInfo
      const offset = (numbers[at] as number) - (this.#bases[name] as number)
      const count = lengths?.get(entry) ?? (numbers[at + 1] as number)
      if (offset > length || count > length - offset) {
        checkRange(offset, count, length, `the remote region of ${this.#label(entry)}`)
      }
    }
    for (let entry = 0, at = 2; at < numbers.length; entry++, at += FIELDS) {
      const name = this.#nameOf?.[entry] ?? 0
      numbers[at] = (numbers[at] as number) - (this.#bases[name] as number) + (found[name] as RegionInfo).addr
    }
    if (lengths !== undefined) for (const [entry, length] of lengths) numbers[entry * FIELDS + 3] = length
    this.#bases = found.map(({ addr }) => addr)
    this.#from = regions
    this.layOut()
    return undefined
  }

  get entries(): number {
    return this.numbers.length / FIELDS
  }

  /** The one region of the peer's, where there is only one. */
  get region(): string | undefined {
    return this.#names.length === 1 ? this.#names[0] : undefined
  }

  /** Bytes of all entries; of those whose length nobody said, as many as there is room for until {@link resolve}. */
  get bytes(): number {
    let bytes = 0
    for (let at = 3; at < this.numbers.length; at += FIELDS) bytes += this.numbers[at] as number
    return bytes
  }

  /** Refuses a local region that was closed since. */
  checkLocals(): void {
    for (const region of this.locals) regionHandle(region)
  }

  /** Bytes of an entry. */
  lengthOf(entry: number): number {
    return this.numbers[entry * FIELDS + 3] as number
  }

  #lengths(found: readonly RegionInfo[]): Map<number, number> | undefined {
    if (this.#open.length === 0) return undefined
    const lengths = new Map<number, number>()
    for (const { entry, most } of this.#open) {
      const name = this.#nameOf?.[entry] ?? 0
      const offset = (this.numbers[entry * FIELDS + 2] as number) - (this.#bases[name] as number)
      lengths.set(entry, Math.min(most, Math.max(0, (found[name] as RegionInfo).length - offset)))
    }
    return lengths
  }

  /** Gives every staged part its place, one behind the other; {@link resolve} does. */
  layOut(): void {
    let bytes = 0
    for (const { entry } of this.staged) {
      this.numbers[entry * FIELDS + 1] = bytes
      bytes += this.lengthOf(entry)
    }
    this.stagedBytes = bytes
  }
}
