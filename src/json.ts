/** A name that one object of a JSON text has more than once. */
export interface Repeated {
  name: string
  /** The name that leads to the object; empty for the outermost. */
  within: string
}

/** An object or a list that is open. Few names are a list and not a set, since most objects have few, and there may be very many. */
interface Level {
  names: Set<string> | string[] | undefined
  current: string
  readonly list: boolean
}

/** So many names are compared one by one. */
const FEW = 8

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** The index of the quote that ends the string whose first character is at `from`. */
function endOfString(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1
  return at
}

/** Enters `name`; whether the object had it before. */
function isRepeated(level: Level, name: string): boolean {
  const { names } = level
  if (names === undefined) level.names = [name]
  else if (Array.isArray(names)) {
    if (names.includes(name)) return true
    if (names.push(name) > FEW) level.names = new Set(names)
  } else {
    if (names.has(name)) return true
    names.add(name)
  }
  return false
}

/**
 * The first name that an object of `text` repeats, which `JSON.parse` would hide: it keeps the last value.
 *
 * @param text one that `JSON.parse` has accepted; of any other nothing is known
 */
export function repeatedName(text: string): Repeated | undefined {
  const levels: Level[] = []
  let level: Level | undefined
  // Whether the next string is a name.
  let naming = false
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at + 1)
        if (naming && level !== undefined) {
          const raw = text.slice(at + 1, end)
          const name = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
          if (isRepeated(level, name)) return { name, within: levels.at(-2)?.current ?? '' }
          level.current = name
        }
        at = end
        break
      }
      case OPEN_OBJECT:
      case OPEN_LIST: {
        const list = text.charCodeAt(at) === OPEN_LIST
        // What is in a list stands under the list's name.
        level = { names: undefined, current: list ? (level?.current ?? '') : '', list }
        levels.push(level)
        naming = !list
        break
      }
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        levels.pop()
        level = levels.at(-1)
        break
      case COMMA:
        naming = level?.list === false
        break
      case COLON:
        naming = false
        break
    }
  }
  return undefined
}
