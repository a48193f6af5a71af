import { dirname, join } from 'node:path'
import test from 'ava'
import type * as json from '../dist/src/json'
import { Random, seed } from './support/raw-random'

const root = dirname(require.resolve('memlane/package.json'))
const { repeatedName } = require(join(root, 'dist', 'src', 'json.js')) as typeof json

/** A text with the number of names that stand in it, which is more than `JSON.parse` keeps where one stands twice. */
interface Document {
  text: string
  names: number
}

const WORDS = ['', 'a', 'b', 'mr_info', '__proto__', 'constructor', 'é', '"', '\\', '\\"', '{', '}', ',', ':', '[', ' ', '\n', '\u2028', '\ud800', '😀']
const NUMBERS = ['0', '-0', '1e999', '-1.5E-7', '18446744073709551615', '0.1']

/** A string of JSON; the same word is written in several ways. */
function string(random: Random, word: string): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return random.below(3) === 0 ? `"${[...Array(word.length).keys()].map((at) => escaped(word[at]!)).join('')}"` : JSON.stringify(word)
}

function space(random: Random): string {
  return random.below(4) === 0 ? random.pick([' ', '\n', '\t\r']) : ''
}

function document(random: Random, depth: number): Document {
  const kind = random.below(depth > 0 ? 12 : 4)
  if (kind === 0) return { text: random.pick(NUMBERS), names: 0 }
  if (kind === 1) return { text: random.pick(['true', 'false', 'null']), names: 0 }
  if (kind < 4) return { text: string(random, random.pick(WORDS)), names: 0 }
  const parts: string[] = []
  let names = 0
  for (let count = random.below(6); count > 0; count--) {
    const part = document(random, depth - 1)
    names += part.names
    if (kind < 7) parts.push(space(random) + part.text + space(random))
    else {
      names++
      parts.push(`${space(random)}${string(random, random.pick(WORDS))}${space(random)}:${space(random)}${part.text}${space(random)}`)
    }
  }
  return { text: kind < 7 ? `[${parts.join(',')}]` : `{${parts.join(',')}}`, names }
}

/** The names that are left when `JSON.parse` has kept the last of each. */
function kept(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const parts: unknown[] = Object.values(value)
  return (Array.isArray(value) ? 0 : parts.length) + parts.reduce<number>((sum, part) => sum + kept(part), 0)
}

test('a name is found to stand twice exactly where JSON.parse keeps fewer names than the text has', (t) => {
  t.log(`MEMLANE_SEED=${seed}`)
  const random = new Random('json')
  let repeated = 0
  for (let round = 0; round < 5000; round++) {
    const { text, names } = document(random, 1 + random.below(3))
    const hidden = names > kept(JSON.parse(text))
    if (hidden) repeated++
    if ((repeatedName(text) !== undefined) !== hidden) t.fail(`seed ${seed}: ${text}`)
  }
  t.true(repeated > 250 && repeated < 4750, `both kinds were there: ${repeated} of 5000`)
})

test('what JSON.stringify writes repeats nothing, and one name more is the one that is found', (t) => {
  t.log(`MEMLANE_SEED=${seed}`)
  const random = new Random('json/planted')
  for (let round = 0; round < 1000; round++) {
    const text = JSON.stringify(JSON.parse(document(random, 4).text))
    if (repeatedName(text) !== undefined) t.fail(`seed ${seed}: ${text}`)
    const word = random.pick(WORDS)
    const planted = `{"x":[${text},{"under":{${string(random, word)}:${text},${string(random, word)}:0}}]}`
    const found = repeatedName(planted)
    if (found?.name !== word || found.within !== 'under') t.fail(`seed ${seed}: ${planted}: ${JSON.stringify(found)}`)
  }
  t.pass()
})

test('nesting as deep as a text can be is looked through without running out of stack', (t) => {
  const depth = 200_000
  t.is(repeatedName('['.repeat(depth) + ']'.repeat(depth)), undefined)
  t.is(repeatedName(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`), undefined)
  t.deepEqual(repeatedName(`${'{"a":'.repeat(depth)}1${',"a":1}'.repeat(depth)}`), { name: 'a', within: 'a' })
})
