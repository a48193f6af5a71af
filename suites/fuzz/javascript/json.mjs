/** A second reading of JSON, by the grammar of RFC 8259 alone, that knows of names which come twice. */

// A control character is none of a string's.
const STRING = /"((?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"/uy
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y
const WORD = /true|false|null/y
const SPACE = /[ \t\n\r]*/y

const NOT_JSON = Symbol('not JSON')

/** `false` for JSON whose objects have each name once, the name that one has twice, and `undefined` for what is no JSON. */
export function namesOf(text) {
  let at = 0
  let repeated = false
  const match = (pattern) => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found !== null) at = pattern.lastIndex
    return found
  }
  const sign = (wanted) => {
    match(SPACE)
    if (text[at] !== wanted) return false
    at++
    return true
  }
  const need = (holds) => {
    if (!holds) throw NOT_JSON
  }
  // By hand and not by recursion: an input may be nothing but brackets.
  const open = []
  const value = () => {
    match(SPACE)
    if (sign('{')) return open.push({ end: '}', names: new Set(), first: true })
    if (sign('[')) return open.push({ end: ']', first: true })
    return need(match(STRING) ?? match(NUMBER) ?? match(WORD))
  }
  try {
    value()
    while (open.length > 0) {
      const level = open.at(-1)
      if (sign(level.end)) {
        open.pop()
        continue
      }
      need(level.first || sign(','))
      level.first = false
      if (level.names !== undefined) {
        match(SPACE)
        const name = match(STRING)
        need(name)
        const plain = JSON.parse(name[0])
        if (level.names.has(plain) && repeated === false) repeated = plain
        level.names.add(plain)
        need(sign(':'))
      }
      value()
    }
    match(SPACE)
    need(at === text.length)
  } catch (error) {
    if (error !== NOT_JSON) throw error
    return undefined
  }
  return repeated
}
