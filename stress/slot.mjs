import { explain, pattern, same } from './pattern.mjs'

const MODELS = 4

/** What one writer knows of its slot in one region of a peer, which its address names: zeros at first, then its own writes. */
class Model {
  #mark
  #base
  #writes = []

  constructor(mark, base) {
    this.#mark = mark
    this.#base = base
  }

  /** Writes that may still land, or may not have. */
  get unsure() {
    return this.#writes.filter((write) => !write.sure).length
  }

  record(write) {
    const end = write.offset + write.length
    // What lies whole beneath a write that has been applied cannot be seen again, unless it may still land.
    if (write.sure) {
      this.#writes = this.#writes.filter((one) => !one.sure || one.offset < write.offset || one.offset + one.length > end)
    }
    this.#writes.push(write)
  }

  /** In words what is wrong with `bytes`, read at `offset` of the slot. */
  check(bytes, offset) {
    const expected = new Uint8Array(bytes.byteLength)
    for (const write of this.#writes) if (write.sure) paint(expected, offset, write, (from, length) => this.#bytes(write, from, length))
    if (same(bytes, expected)) return undefined
    // Byte by byte: what is not as it was written last may be of a write whose outcome nobody knows.
    const allowed = expected.slice()
    for (const write of this.#writes) {
      if (write.sure) continue
      paint(allowed, offset, write, (from, length, at) => {
        const theirs = this.#bytes(write, from, length)
        const mixed = allowed.slice(at, at + length)
        for (let index = 0; index < length; index++) if (bytes[at + index] === theirs[index]) mixed[index] = theirs[index]
        return mixed
      })
    }
    return same(bytes, allowed) ? undefined : explain(bytes, allowed, this.#base + offset)
  }

  #bytes({ operation }, from, length) {
    return pattern(this.#mark, operation, this.#base + from, length)
  }
}

/** Lays what `make` gives over the part of `bytes`, which begin at `offset`, that a write covers. */
function paint(bytes, offset, write, make) {
  const from = Math.max(offset, write.offset)
  const to = Math.min(offset + bytes.byteLength, write.offset + write.length)
  if (from < to) bytes.set(make(from, to - from, from - offset), from - offset)
}

/** A place in a region of a peer that one actor alone writes, through every generation of that region. */
export class Slot {
  #models = new Map()

  constructor(place, mark) {
    this.place = place
    this.mark = mark
  }

  /** What is known of the slot in the region of this address. A region that is new is zeroed, and no old write reaches it. */
  model(address) {
    let model = this.#models.get(address)
    if (model === undefined) {
      model = new Model(this.mark, this.place.base)
      this.#models.set(address, model)
      if (this.#models.size > MODELS) this.#models.delete(this.#models.keys().next().value)
    }
    return model
  }

  bytes(operation, offset, length) {
    return pattern(this.mark, operation, this.place.base + offset, length)
  }

  /** Writes that began while the region had the address `before` and ended while it had `after`. */
  record(before, after, writes) {
    const moved = before !== after
    for (const address of new Set([before, after])) {
      for (const write of writes) this.model(address).record(moved ? { ...write, sure: false } : write)
    }
  }
}
