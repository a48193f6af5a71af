/** Endpoint-info JSON, as an initiator takes it from a peer, a user or a directory. */
import { readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isDeepStrictEqual } from 'node:util'
import { Coverage } from './coverage.mjs'
import { namesOf } from './json.mjs'

const require = createRequire(import.meta.url)
const { checkInfo, describedInfo, parseInfo } = require('../../../dist/src/info.js')
const { MemlaneError } = require('../../../dist/src/errors.js')

const RIGHTS = new Set([undefined, 'none', 'read', 'write', 'readwrite'])
/** What one look at an info may take; they have a few thousand bytes. */
const PATIENCE_MS = 500
const MOST_CHARACTERS = 8192

const NUMBERS = ['0', '-0', '1', '-1', '0.5', '65535', '65536', '9007199254740991', '9007199254740992', '18446744073709551615', '1e999', '1e-999', '4294967296', '1E2', '290271069732864']
const NAMES = ['host', 'port', 'mr_info', 'memlane', 'version', 'instance', 'addr', 'length', 'access', 'dtype', 'shape', '__proto__', 'constructor', 'toString', 'a', '\\u0061', '', '\\ud800', 'x\\u0000', 'é', '\\ud83d\\ude00', 'hasOwnProperty']
const STRINGS = ['127.0.0.1', '::1', 'localhost', 'a b', 'read', 'write', 'readwrite', 'none', 'float32', 'uint8', 'bfloat16', 'int4', '00010203040506078090a0b0c0d0e0ff', '00010203040506078090A0B0C0D0E0FF', '', 'x'.repeat(300)]
const PARTS = ['{', '}', '[', ']', ',', ':', '"', '\\', 'null', 'true', 'false', '{}', '[]', '[1,2,3]', '{"addr":4096,"length":16}', '{"version":1}', '\\"', '\ufeff', ' ', '\n']

function part(random) {
  switch (random.below(4)) {
    case 0: return random.pick(NUMBERS)
    case 1: return `"${random.pick(NAMES)}"`
    case 2: return `"${random.pick(STRINGS)}"`
    default: return random.pick(PARTS)
  }
}

/** Where things that belong together begin and end: strings, numbers, signs. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[-+.\w]+|\s+|[^]/gu

/** An input out of another, by its tokens or by its characters. */
function mutate(text, others, random) {
  const tokens = text.match(TOKEN) ?? []
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(tokens.length + 1)
    switch (random.below(8)) {
      case 0: tokens.splice(at, 1); break
      case 1: tokens.splice(at, 0, part(random)); break
      case 2: {
        // A number for a number, and another word for a word.
        const numbers = [...tokens.keys()].filter((index) => /^[-\d]/.test(tokens[index]))
        if (random.once(2) && numbers.length > 0) tokens[random.pick(numbers)] = random.pick(NUMBERS)
        else tokens.splice(at, 1, part(random))
        break
      }
      case 3: {
        const from = random.below(tokens.length + 1)
        tokens.splice(at, 0, ...tokens.slice(from, from + 1 + random.below(12)))
        break
      }
      case 4: tokens.splice(at, 1 + random.below(6)); break
      case 5: {
        const other = random.pick(others).match(TOKEN) ?? []
        const from = random.below(other.length + 1)
        tokens.splice(at, random.below(8), ...other.slice(from, from + 1 + random.below(16)))
        break
      }
      case 6: {
        // Another member of the object that begins here, or is begun.
        const object = tokens.indexOf('{', at)
        tokens.splice(object + 1, 0, `"${random.pick(NAMES)}"`, ':', part(random), ',')
        break
      }
      default: {
        const token = tokens[at] ?? ''
        const place = random.below(token.length + 1)
        tokens[at] = token.slice(0, place) + String.fromCodePoint(random.below(random.once(8) ? 0xffff : 128)) + token.slice(place + random.below(2))
      }
    }
  }
  const mutated = tokens.join('')
  return mutated.length > MOST_CHARACTERS ? mutated.slice(0, MOST_CHARACTERS) : mutated
}

function must(holds, what) {
  if (!holds) throw new Error(what)
}

/** What is made of an info: a value, or the error that it is refused with. */
function attempt(check) {
  try {
    return { value: check() }
  } catch (error) {
    must(error instanceof MemlaneError, `refused with ${String(error)}`)
    must(error.code === 'ERR_PROTOCOL' && !error.retryable && error.origin === 'remote', `refused with ${error.code}`)
    must(error.message.length < 600 && [...error.message].every((character) => character >= ' '), `a message that is no line: ${JSON.stringify(error.message)}`)
    return { error }
  }
}

function checkRegion(name, info) {
  const bytes = Buffer.byteLength(name)
  must(bytes > 0 && bytes <= 255 && !name.includes('\0') && name.isWellFormed?.() !== false, `a region named ${JSON.stringify(name)}`)
  must(Object.isFrozen(info), 'a region that can be changed')
  const { addr, length, access, dtype, shape } = info
  must(Number.isSafeInteger(addr) && addr >= 0 && Number.isSafeInteger(length) && length >= 0 && Number.isSafeInteger(addr + length), `a region of ${length} at ${addr}`)
  must(RIGHTS.has(access), `the right ${access}`)
  must(dtype === undefined || typeof dtype === 'string', 'a dtype that is no text')
  must(shape === undefined || (Array.isArray(shape) && shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)), `the shape ${shape}`)
}

/** Holds one text against what is promised of it. */
export function run(text) {
  const began = performance.now()
  const connected = attempt(() => checkInfo(text))
  const described = attempt(() => describedInfo(text, '127.0.0.1:9'))
  const took = performance.now() - began
  must(took < PATIENCE_MS, `${took.toFixed(0)} ms`)
  must(Object.getOwnPropertyNames(Object.prototype).length === PROTOTYPE, 'the prototype of all objects was changed')
  const repeated = namesOf(text)
  if (repeated !== false) {
    // No JSON, or a name twice: nobody may know better.
    must(connected.error !== undefined && described.error !== undefined, repeated === undefined ? 'taken though it is no JSON' : `taken though it has ${JSON.stringify(repeated)} twice`)
    return
  }
  for (const { value } of [connected, described]) {
    if (value === undefined) continue
    for (const [name, info] of value.regions) checkRegion(name, info)
    must(value.instance === undefined || /^[0-9a-f]{32}$/.test(value.instance), `the instance ${value.instance}`)
    const listed = JSON.parse(text).mr_info ?? {}
    must(isDeepStrictEqual([...value.regions.keys()].sort(), Object.keys(listed).sort()), 'regions were lost, or made up')
    for (const [name, info] of value.regions) {
      const own = Object.getOwnPropertyDescriptor(listed, name).value
      must(info.addr === own.addr && info.length === own.length && info.access === own.access, `region ${name} is another`)
    }
  }
  if (connected.value === undefined) return
  const { host, port, native } = connected.value
  must(typeof host === 'string' && host.length > 0 && Number.isInteger(port) && port >= 1 && port <= 65535, `${host}:${port}`)
  must(described.value !== undefined, 'good enough to connect to, and no description')
  must(native === (JSON.parse(text).memlane !== undefined), 'the wire')
  const again = attempt(() => checkInfo(parseInfo(text)))
  must(isDeepStrictEqual(again.value, connected.value), 'as an object it is another')
}

/** Of these, the shortest that reach all that they reach together, after `first`. */
export function fewest(first, others) {
  const coverage = new Coverage(MODULES)
  const reaches = (text) => {
    run(text)
    return coverage.isNew()
  }
  first.forEach(reaches)
  return others.toSorted((a, b) => a.length - b.length).filter(reaches)
}

const MODULES = ['/dist/src/info.js', '/dist/src/json.js', '/dist/src/arguments.js', '/dist/src/tensor.js']
const PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).length

/** Inputs that are kept. */
export function corpus(folder) {
  return readdirSync(folder).sort().map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }))
}

/**
 * Mutates what is there, and keeps what reaches something new.
 *
 * @returns how many were run, what was kept, how much of the modules has run, and the first input that something is wrong with
 */
export function fuzz({ seconds, random, inputs }) {
  const coverage = new Coverage(MODULES)
  const texts = [...inputs]
  const kept = []
  const until = performance.now() + seconds * 1000
  let executions = 0
  const look = (text) => {
    executions++
    try {
      run(text)
    } catch (error) {
      return { input: text, error }
    }
    return undefined
  }
  for (const text of texts) {
    const finding = look(text)
    if (finding) return { executions, kept, blocks: coverage.blocks, finding }
  }
  coverage.isNew()
  while (performance.now() < until) {
    // To ask costs more than to run a few: all of those are kept of which one has reached something new.
    const some = Array.from({ length: 8 }, () => mutate(random.pick(texts), texts, random))
    for (const text of some) {
      const finding = look(text)
      if (finding) return { executions, kept, blocks: coverage.blocks, finding }
    }
    if (coverage.isNew()) {
      texts.push(...some)
      kept.push(...some)
    }
  }
  return { executions, kept, blocks: coverage.blocks }
}
