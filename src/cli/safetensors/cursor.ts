import { isUtf8 } from 'node:buffer'
import { CliError } from '../failure.js'
import { harmless } from '../screen.js'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const ZERO = 0x30
const NINE = 0x39

/** What is wrong with a header, where it is known. */
export function malformed(label: string, message: string): CliError {
  return new CliError(`${label}: ${message}`, { code: 'ERR_SAFETENSORS' })
}

/** A name, short enough for a message. */
export function shownName(name: string): string {
  return `"${harmless(name.length > 60 ? `${name.slice(0, 60)}…` : name)}"`
}

/**
 * Reads the JSON of a header by what may stand at each place, and nothing else: there is no nesting to get lost in, a name that
 * comes twice is seen, integers stay exact, and the first fault ends it. 100 MB of it take no longer than going over the bytes.
 */
export class Cursor {
  readonly #bytes: Buffer
  readonly #label: string
  /** Where the header begins in its file; for messages. */
  readonly #base: number
  #at = 0

  constructor(bytes: Buffer, label: string, base: number) {
    this.#bytes = bytes
    this.#label = label
    this.#base = base
    if (!isUtf8(bytes)) throw malformed(label, 'its header is no UTF-8')
  }

  fail(message: string): CliError {
    return malformed(this.#label, `${message}, at byte ${this.#base + this.#at}`)
  }

  /** Steps over a character that has to be there. */
  expect(character: string): void {
    if (!this.skip(character)) throw this.fail(`its header is malformed: ${character} expected${this.#found()}`)
  }

  /** Steps over a character if it is there. */
  skip(character: string): boolean {
    this.#space()
    if (this.#bytes[this.#at] !== character.charCodeAt(0)) return false
    this.#at++
    return true
  }

  /** Nothing may follow. */
  end(): void {
    this.#space()
    if (this.#at < this.#bytes.length) throw this.fail(`its header is malformed: there is more behind its end${this.#found()}`)
  }

  /** Calls `member` with each name of an object, at its value. */
  object(what: string, member: (name: string) => void): void {
    if (!this.skip('{')) throw this.fail(`${what} is no object${this.#found()}`)
    if (this.skip('}')) return
    const names = new Set<string>()
    do {
      const name = this.string(`a name in ${what}`)
      if (names.has(name)) throw this.fail(`${what} has ${shownName(name)} twice`)
      names.add(name)
      this.expect(':')
      member(name)
    } while (this.skip(','))
    this.expect('}')
  }

  /** The integers of a list. */
  integers(what: string, most: number): number[] {
    if (!this.skip('[')) throw this.fail(`${what} is no list${this.#found()}`)
    const list: number[] = []
    if (this.skip(']')) return list
    do {
      if (list.length === most) throw this.fail(`${what} has more than ${most} numbers`)
      list.push(this.#integer(what))
    } while (this.skip(','))
    this.expect(']')
    return list
  }

  string(what: string): string {
    this.#space()
    const bytes = this.#bytes
    if (bytes[this.#at] !== QUOTE) throw this.fail(`${what} is no text${this.#found()}`)
    const from = this.#at + 1
    let at = from
    let isPlain = true
    for (let byte = bytes[at]; byte !== QUOTE; byte = bytes[at]) {
      if (byte === undefined) throw this.fail(`${what} has no end`)
      if (byte < 0x20) throw this.fail(`${what} has a raw control character`)
      if (byte === BACKSLASH) {
        isPlain = false
        at++
      }
      at++
    }
    const text = bytes.toString('utf8', from, at)
    const value = isPlain ? text : this.#unescaped(text, what)
    this.#at = at + 1
    return value
  }

  #unescaped(text: string, what: string): string {
    try {
      const value = JSON.parse(`"${text}"`) as string
      if (!/\p{Surrogate}/u.test(value)) return value
    } catch {
      // As below.
    }
    throw this.fail(`${what} has an escape that means nothing`)
  }

  #integer(what: string): number {
    this.#space()
    const bytes = this.#bytes
    const from = this.#at
    let at = from
    let value = 0
    for (let byte = bytes[at]; byte !== undefined && byte >= ZERO && byte <= NINE; byte = bytes[++at]) {
      value = value * 10 + (byte - ZERO)
      if (value > Number.MAX_SAFE_INTEGER) throw this.fail(`${what} has a number above 2^53 - 1`)
    }
    const next = bytes[at]
    // A point, an exponent, a letter: whatever belongs to the number and makes it no integer.
    const isMore = next !== undefined && /[\w.+-]/.test(String.fromCharCode(next))
    if (at === from || isMore || (at - from > 1 && bytes[from] === ZERO)) {
      throw this.fail(`${what} has something that is no whole number from 0 on${this.#found()}`)
    }
    this.#at = at
    return value
  }

  #space(): void {
    const bytes = this.#bytes
    for (let byte = bytes[this.#at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = bytes[++this.#at]);
  }

  #found(): string {
    if (this.#at >= this.#bytes.length) return ', and the header ends'
    return `, not ${shownName(this.#bytes.toString('utf8', this.#at, this.#at + 12).replace(/�.*$/, ''))}`
  }
}
