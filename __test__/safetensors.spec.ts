import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { DTYPES } from 'memlane'
import type * as dtypes from '../dist/src/cli/safetensors/dtypes'
import type * as headers from '../dist/src/cli/safetensors/header'
import { Random, seed } from './support/raw-random'
import { headerOf, type Row } from './support/weights'

const root = dirname(require.resolve('memlane/package.json'))
const { headerLength, madeHeader, parseHeader } = require(join(root, 'dist', 'src', 'cli', 'safetensors', 'header.js')) as typeof headers

const { bitsOf, dtypeOf, oursOf } = require(join(root, 'dist', 'src', 'cli', 'safetensors', 'dtypes.js')) as typeof dtypes

const ROWS: readonly Row[] = [
  ['a', 'F32', [2, 3], 24],
  ['none', 'I64', [0, 5], 0],
  ['b.weight', 'BF16', [], 2],
  ['half', 'F4', [3, 2], 3],
  ['new', 'X99', [7], 5],
]
const BYTES = 34
const parse = (header: string | Buffer, bytes = BYTES) => parseHeader(Buffer.from(header as string), bytes, 'f')

test('tensors come in the order of their bytes, with type, shape and range; metadata too', (t) => {
  const { tensors, metadata } = parse(`${headerOf(ROWS, { format: 'pt', 'é\n': '"' })}   `)
  t.deepEqual(tensors.map(({ name, dtype, shape, begin, end }) => [name, dtype, [...shape], end - begin]), ROWS.map((row) => [...row]))
  t.deepEqual([...metadata], [['format', 'pt'], ['é\n', '"']])
})

test('names need not be in the order of the bytes', (t) => {
  const { tensors } = parse('{ "z" : {"data_offsets":[4,8],"shape":[1],"dtype":"F32"}, "a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]} }', 8)
  t.deepEqual(tensors.map(({ name }) => name), ['a', 'z'])
})

test('a header that was made is read as it was meant, and its data is aligned', (t) => {
  const { tensors, metadata } = parse(headerOf(ROWS, { k: 'v' }))
  const made = madeHeader(tensors, metadata)
  t.is(made.length % 8, 0)
  t.is(headerLength(made, made.length + BYTES, 'f'), made.length - 8)
  t.deepEqual(parse(made.subarray(8)), { tensors, metadata })
})

const entry = (dtype: string, shape: string, offsets: string) => `{"x":{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}}`

for (const [what, header, bytes, message] of [
  ['no object', '[]', 0, /no object/],
  ['nothing', '', 0, /no object, and the header ends/],
  ['cut off', '{"x":{"dtype":"F32"', 0, /expected, and the header ends/],
  ['deep nesting', `{"x":${'['.repeat(50_000)}`, 0, /tensor "x" is no object/],
  ['deep nesting in a shape', `{"x":{"dtype":"F32","shape":${'['.repeat(50_000)}`, 0, /no whole number/],
  ['a name twice', `${headerOf([['x', 'U8', [1], 1]]).slice(0, -1)},"\\u0078":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, /has "x" twice/],
  ['a key twice', '{"x":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1, /has "dtype" twice/],
  ['__metadata__ twice', '{"__metadata__":{},"__metadata__":{}}', 0, /"__metadata__" twice/],
  ['__metadata__ of a number', '{"__metadata__":7}', 0, /__metadata__ is no object/],
  ['__metadata__ with a number', '{"__metadata__":{"a":7}}', 0, /__metadata__\."a" is no text/],
  ['an unknown key', '{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"offset":0}}', 1, /"offset", which no tensor has/],
  ['no dtype', '{"x":{"shape":[1],"data_offsets":[0,1]}}', 1, /lacks its dtype/],
  ['a negative extent', entry('U8', '[-1]', '[0,1]'), 1, /no whole number/],
  ['a broken extent', entry('U8', '[1.5]', '[0,1]'), 1, /no whole number/],
  ['an exponent', entry('U8', '[1e0]', '[0,1]'), 1, /no whole number/],
  ['a leading zero', entry('U8', '[01]', '[0,1]'), 1, /no whole number/],
  ['a number above 2^53', entry('U8', '[9007199254740993]', '[0,1]'), 1, /above 2\^53/],
  ['an offset of 400 digits', entry('U8', '[1]', `[0,${'9'.repeat(400)}]`), 1, /above 2\^53/],
  ['a product above 2^53', entry('F64', '[4294967296,4294967296]', '[0,8]'), 8, /no possible size/],
  ['one offset', entry('U8', '[1]', '[0]'), 1, /not two numbers/],
  ['three offsets', entry('U8', '[1]', '[0,1,2]'), 1, /more than 2/],
  ['offsets the wrong way round', entry('U8', '[1]', '[1,0]'), 1, /before it begins/],
  ['another size', entry('F32', '[2]', '[0,4]'), 4, /has 4 bytes, and F32 \[2\] makes 8/],
  ['65 dimensions', entry('U8', JSON.stringify(Array(65).fill(1)), '[0,1]'), 1, /more than 64/],
  ['data that is missing', entry('F32', '[2]', '[0,8]'), 7, /cut off/],
  ['data that is too much', entry('F32', '[2]', '[0,8]'), 9, /1 bytes behind tensor "x" that belong to nothing/],
  ['an overlap', `{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}`, 6, /tensor "b" overlaps tensor "a"/],
  ['a gap', `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}`, 6, /2 bytes between tensor "a" and tensor "b"/],
  ['a gap at the start', entry('U8', '[1]', '[1,2]'), 2, /between the header and/],
  ['a control character in a name', headerOf([['a\u001b[2J', 'U8', [1], 1]]), 1, /"a\\u001b\[2J" has a control character/],
  ['a raw control character', '{"a\n":1}', 0, /raw control/],
  ['a long name', headerOf([['é'.repeat(128), 'U8', [1], 1]]), 1, /longer than 255 bytes/],
  ['an empty name', headerOf([['', 'U8', [1], 1]]), 1, /no name/],
  ['a lone surrogate', '{"\\ud800":1}', 0, /escape that means nothing/],
  ['a wrong escape', '{"\\x41":1}', 0, /escape that means nothing/],
  ['no end of a text', '{"abc', 0, /no end/],
  ['something behind the end', '{} {', 0, /more behind its end/],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22]), 0, /UTF-8/],
] as const) {
  test(`refused, with what and where: ${what}`, (t) => {
    const { message: said } = t.throws(() => parse(header, bytes), { code: 'ERR_SAFETENSORS' })
    t.regex(said, message)
    t.regex(said, /^f: [^\n]+$/)
    t.true(said.length < 400, said)
  })
}

test('the length of the header is looked at before the header', (t) => {
  const first = (length: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64LE(length)
    return bytes
  }
  t.is(headerLength(first(100_000_000n), 100_000_008, 'f'), 100_000_000)
  t.throws(() => headerLength(first(100_000_001n), Number.MAX_SAFE_INTEGER, 'f'), { message: /100000001 bytes, and 100000000 are the most/ })
  t.throws(() => headerLength(first(2n ** 64n - 1n), 10 ** 6, 'f'), { message: /18446744073709551615 bytes/ })
  t.throws(() => headerLength(first(93n), 100, 'f'), { message: /cut off/ })
  t.throws(() => headerLength(Buffer.alloc(7), 7, 'f'), { message: /too short/ })
})

test('100 MB of anything end, with an error or without', (t) => {
  const size = 100_000_000
  const fill = (start: string, unit: string, end: string) => Buffer.concat([Buffer.from(start), Buffer.alloc(size - start.length - end.length, unit), Buffer.from(end)])
  t.is(parse(fill('{', ' ', '}'), 0).tensors.length, 0)
  t.is(parse(fill('{"__metadata__":{"a":"', 'x', '"}}'), 0).metadata.get('a')?.length, size - 25)
  t.throws(() => parse(fill('{"', 'x', '":{}}'), 0), { message: /longer than 255/ })
  t.throws(() => parse(fill('{"x":', '[', ''), 0), { message: /no object/ })
  t.throws(() => parse(fill('{"x":{"shape":[', '1,', ''), 0), { message: /more than 64/ })
  t.throws(() => parse(fill('{"x":{"shape":[', '9', ''), 0), { message: /above 2\^53/ })
  const many = Array.from({ length: 70_000 }, (_, index) => [`t${index}`, 'U8', [0], 0] as Row)
  t.throws(() => parse(headerOf(many), 0), { message: /more than 65536 tensors/ })
})

test('whatever is done to a header, it is refused in one line, or says what is in it', (t) => {
  t.log(`seed ${seed}`)
  const good = Buffer.from(headerOf(ROWS, { format: 'pt' }))
  let refused = 0
  for (let round = 0; round < 20_000; round++) {
    const random = new Random(`safetensors/${round}`)
    let bytes = Buffer.from(good)
    for (let changes = 1 + random.below(3); changes > 0; changes--) {
      const at = random.below(bytes.length)
      const kind = random.below(4)
      if (kind === 0) bytes[at] = random.below(256)
      else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(8))])
      else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(['{', '}', '[', ']', '"', ',', ':', '0', '9', '-', 'e', '\\', ' '])), bytes.subarray(at)])
      else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.below(bytes.length))])
    }
    try {
      const { tensors } = parse(bytes)
      // What is accepted is JSON that says the same, and fills the data.
      const value = JSON.parse(bytes.toString()) as Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>
      t.deepEqual(Object.keys(value).filter((name) => name !== '__metadata__').sort(), tensors.map(({ name }) => name).sort())
      for (const { name, dtype, shape, begin, end } of tensors) t.deepEqual(value[name], { dtype, shape: [...shape], data_offsets: [begin, end] } as never)
      t.is(tensors.reduce((sum, { begin, end }) => sum + end - begin, 0), BYTES)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code !== 'ERR_SAFETENSORS') throw new Error(`MEMLANE_SEED=${seed}, round ${round}: ${bytes}`, { cause: error })
      if (!/^f: [^\n]{1,400}$/.test(message)) t.fail(`MEMLANE_SEED=${seed}, round ${round}: ${message}`)
      refused++
    }
  }
  t.true(refused > 10_000, `${refused}`)
})

test('every dtype of memlane is one of safetensors, by the table of docs/tensors.md', (t) => {
  const table = readFileSync(join(root, 'docs', 'tensors.md'), 'utf8')
  const rows = [...table.matchAll(/^\| `(\w+)` \| (\d+) \| .* \| `(\w+)` \|$/gm)]
  t.deepEqual(rows.map(([, ours]) => ours).sort(), [...DTYPES].sort())
  for (const [, ours = '', bytes, theirs = ''] of rows) {
    t.is(oursOf(theirs), ours as (typeof DTYPES)[number])
    t.is(dtypeOf(ours), theirs)
    t.is(bitsOf(theirs), 8 * Number(bytes))
  }
})
