/**
 * What a process sees of its own memory: every byte of the mappings that its regions lie in, those between and behind the regions
 * too, through /proc/self/mem; and the file that regions are mapped from.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

const HEAD_BYTES = 32

/** The readable and writable mappings between two that cannot be touched: there slabs and large regions lie. */
function guardedMappings() {
  const lines = readFileSync('/proc/self/maps', 'latin1').trim().split('\n').map((line) => {
    const [range, rights] = line.split(' ', 2)
    const [start, end] = range.split('-').map((text) => Number.parseInt(text, 16))
    return { start, end, rights }
  })
  const isGuard = (line) => line?.rights.startsWith('---')
  return lines.filter(
    ({ start, end, rights }, at) =>
      rights === 'rw-p' && isGuard(lines[at - 1]) && lines[at - 1].end === start && isGuard(lines[at + 1]) && lines[at + 1].start === end
  )
}

/** All memory around and in a process's regions, and what has to be in it. */
export class Watched {
  #mem = openSync('/proc/self/mem', 'r')
  /** By start: what is expected, and the regions that lie in it. */
  #mappings = new Map()
  #scratch = Buffer.alloc(0)
  #places = new Map()
  /** Where closed regions lay: their bytes stay as they are until the last view of them is collected, and are zero then. */
  #graves = []
  #file
  #fileExpected

  /** Regions by name, each with a `view` of its bytes; the file that some are ranges of, by its descriptor. */
  constructor(file, fileBytes) {
    this.#file = file
    this.#fileExpected = Buffer.alloc(fileBytes)
  }

  /** Finds where the region lies, by looking which memory changes with it, and expects from now on what is there now. */
  add(name, view, fileOffset) {
    if (fileOffset !== undefined) {
      this.#places.set(name, { fileOffset })
      return undefined
    }
    const place = this.#find(view)
    this.#places.set(name, place)
    const overlaps = ({ start, at, length }) => start === place.start && at < place.at + place.length && place.at < at + length
    this.#graves = this.#graves.filter((grave) => !overlaps(grave))
    this.retake()
    return place
  }

  remove(name) {
    const place = this.#places.get(name)
    this.#places.delete(name)
    if (place.fileOffset === undefined) this.#graves.push(place)
    const live = new Set(guardedMappings().map(({ start, end }) => `${start}-${end}`))
    const used = new Set([...this.#places.values()].map(({ start }) => start))
    const isLive = ({ start }) => [...live].some((range) => range.startsWith(`${start}-`))
    this.#graves = this.#graves.filter(isLive)
    for (const [start, { end }] of this.#mappings) {
      if (!used.has(start) || !live.has(`${start}-${end}`)) this.#mappings.delete(start)
    }
    this.retake()
  }

  /** What is there now is what has to be there. */
  retake() {
    for (const mapping of this.#mappings.values()) this.#look(mapping).copy(mapping.expected)
    readSync(this.#file, this.#fileExpected, 0, this.#fileExpected.length, 0)
  }

  /** Bytes that a region has to have from now on. */
  expect(name, offset, bytes) {
    const { expected, at } = this.#expected(name)
    bytes.copy(expected, at + offset)
  }

  /** Whatever is there now is as good as any: the range of a write that was cut off. */
  allow(name, offset, length) {
    const { start, at, fileOffset } = this.#places.get(name)
    const { expected } = this.#expected(name)
    if (fileOffset !== undefined) readSync(this.#file, expected, fileOffset + offset, length, fileOffset + offset)
    else readSync(this.#mem, expected, at + offset, length, start + at + offset)
  }

  /** Where memory is not what it has to be, in words; and nothing where it is. */
  differences() {
    const found = []
    for (const [start, mapping] of this.#mappings) {
      const is = this.#look(mapping)
      this.#fill(start, is, mapping.expected)
      if (is.compare(mapping.expected) !== 0) found.push(this.#tell(is, mapping.expected, (place) => place.start === start && place.at))
    }
    const is = this.#lookAtFile()
    if (is.compare(this.#fileExpected) !== 0) found.push(this.#tell(is, this.#fileExpected, (place) => place.fileOffset))
    const live = new Set(guardedMappings().map(({ start, end }) => `${start}-${end}`))
    for (const [start, { end }] of this.#mappings) {
      if (!live.has(`${start}-${end}`)) found.push(`the mapping at ${start.toString(16)} has lost a guard page`)
    }
    return found
  }

  /** Bytes that are looked at each time. */
  get bytes() {
    return [...this.#mappings.values()].reduce((sum, { expected }) => sum + expected.length, this.#fileExpected.length)
  }

  close() {
    closeSync(this.#mem)
  }

  /** Expects zeros where a region lay that is gone by now. */
  #fill(start, is, expected) {
    const isGone = (grave) => grave.start === start && isZero(is.subarray(grave.at, grave.at + grave.length))
    for (const { at, length } of this.#graves.filter(isGone)) expected.fill(0, at, at + length)
    this.#graves = this.#graves.filter((grave) => !isGone(grave))
  }

  #expected(name) {
    const { start, at, fileOffset } = this.#places.get(name)
    return fileOffset === undefined ? { expected: this.#mappings.get(start).expected, at } : { expected: this.#fileExpected, at: fileOffset }
  }

  #find(view) {
    const head = Buffer.from(view.subarray(0, HEAD_BYTES))
    for (const mapping of guardedMappings()) {
      const bytes = this.#tryLook(mapping)
      for (let at = bytes.indexOf(head); at >= 0; at = bytes.indexOf(head, at + 1)) {
        // Copies of the same bytes lie elsewhere: this is the region if it changes with it.
        const seen = Buffer.alloc(1)
        view[0] ^= 0xff
        readSync(this.#mem, seen, 0, 1, mapping.start + at)
        view[0] ^= 0xff
        if (seen[0] !== head[0]) {
          if (!this.#mappings.has(mapping.start)) {
            this.#mappings.set(mapping.start, { ...mapping, expected: Buffer.alloc(mapping.end - mapping.start) })
          }
          return { start: mapping.start, at, length: view.length }
        }
      }
    }
    throw new Error('a region is in no mapping between guard pages')
  }

  /** Of a mapping that may be gone already. */
  #tryLook(mapping) {
    try {
      return this.#look(mapping)
    } catch {
      return Buffer.alloc(0)
    }
  }

  #look({ start, end }) {
    const length = end - start
    if (this.#scratch.length < length) this.#scratch = Buffer.alloc(length)
    const count = readSync(this.#mem, this.#scratch, 0, length, start)
    if (count !== length) throw new Error(`${count} of ${length} bytes could be looked at`)
    return this.#scratch.subarray(0, length)
  }

  #lookAtFile() {
    const { length } = this.#fileExpected
    if (this.#scratch.length < length) this.#scratch = Buffer.alloc(length)
    readSync(this.#file, this.#scratch, 0, length, 0)
    return this.#scratch.subarray(0, length)
  }

  #tell(is, expected, beginOf) {
    let first = 0
    while (is[first] === expected[first]) first++
    let count = 0
    for (let at = first; at < is.length; at++) if (is[at] !== expected[at]) count++
    let where = `byte ${first} of no region's`
    for (const [name, place] of this.#places) {
      const begin = beginOf(place)
      if (typeof begin === 'number' && begin <= first) where = `byte ${first - begin} from the start of "${name}"`
    }
    return `${count} bytes changed, the first is ${where}: ${is.toString('hex', first, first + 16)}, not ${expected.toString('hex', first, first + 16)}`
  }
}

function isZero(bytes) {
  return bytes.equals(Buffer.alloc(bytes.length))
}
