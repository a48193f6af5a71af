import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { root } from './support/error-table'

interface Promised {
  name: string
  title: string
  shown: { file: string; title: string }[]
}

/** The sections of docs/guarantees.md that are promises, each with the tests it names. */
function promises(): Promised[] {
  const page = readFileSync(join(root, 'docs', 'guarantees.md'), 'utf8')
  return [...page.matchAll(/^### (P\d+) · (.+)\n([\s\S]*?)(?=^##|(?![\s\S]))/gm)].map(([, name = '', title = '', body = '']) => ({
    name,
    title,
    shown: [...body.matchAll(/^- `([^`]+)`: (.+)$/gm)].map(([, file = '', wanted = '']) => ({ file, title: wanted })),
  }))
}

const SUITE = 'npm run '
const isSuite = (file: string) => file.startsWith(SUITE)
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }

/** What begins a test or a case of that title, in the words of its language. */
function begins(file: string, title: string): string[] {
  if (file.endsWith('.rs')) return [`fn ${title}(`]
  const quoted = title.replaceAll("'", "\\'")
  return ["'", '`'].map((quote) => `${quote}${quoted}${quote}`)
}

test('every promise of docs/guarantees.md is shown by tests that are there', (t) => {
  const all = promises()
  t.deepEqual(all.map(({ name }) => name), Array.from({ length: 14 }, (_, index) => `P${index + 1}`))
  for (const { name, shown } of all) {
    t.true(shown.length > 0, `${name} has no test`)
    t.true(shown.some(({ file }) => !isSuite(file)), `${name} has no test that npm it runs`)
    for (const { file, title } of shown) {
      if (isSuite(file)) {
        t.true(file.slice(SUITE.length) in scripts, `${name}: there is no ${file}`)
        continue
      }
      const path = join(root, file)
      t.true(existsSync(path), `${name}: there is no ${file}`)
      const source = readFileSync(path, 'utf8')
      t.true(begins(file, title).some((text) => source.includes(text)), `${name}: ${file} has no test "${title}"`)
    }
  }
})

test('docs/guarantees.md says of every bad input what it gets', (t) => {
  const page = readFileSync(join(root, 'docs', 'guarantees.md'), 'utf8')
  const rows = [...page.matchAll(/^\| (B\d+) \|(.+)\|$/gm)]
  t.deepEqual(rows.map(([, name]) => name), Array.from({ length: 21 }, (_, index) => `B${index + 1}`))
  for (const [, name, cells = ''] of rows) t.is(cells.split('|').length, 4, name)
})

test('the README lists the promises that docs/guarantees.md has, in its words', (t) => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  // Two of them stand in a row.
  const rows = readme.split('\n').filter((line) => /^\| P\d+ \|/.test(line))
  const cells = rows.flatMap((row) => row.slice(2, -2).split(' | '))
  const listed = Object.fromEntries(cells.flatMap((name, index) => (index % 2 === 0 ? [[name, cells[index + 1]]] : [])))
  t.deepEqual(listed, Object.fromEntries(promises().map(({ name, title }) => [name, title])))
  t.is(cells.length, 2 * promises().length)
})
