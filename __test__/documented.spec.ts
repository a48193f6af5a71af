import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ARGUMENT_ERROR_CODES, ERROR_CODES } from 'memlane'
import { STATUSES } from './support/golden'
import { root, table } from './support/error-table'

const page = readFileSync(join(root, 'docs', 'errors.md'), 'utf8')

/** The rows of the table whose header begins with these columns. */
function rows(...columns: string[]): string[][] {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${columns.join(' | ')} |`))
  if (start < 0) throw new Error(`docs/errors.md has no table ${columns.join(', ')}`)
  const body = lines.slice(start + 2)
  return body.slice(0, body.findIndex((line) => !line.startsWith('|'))).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
  )
}

const quoted = (code: string) => `\`${code}\``

test('docs/errors.md has the rows of the engine\'s table, in its order and words', (t) => {
  const expected = table.map(({ code, kind, status, origin, retryable, text }) => ({
    code: quoted(code),
    kind,
    status: status === undefined ? '' : `${status} ${quoted(STATUSES[status] ?? '')}`,
    origin,
    retryable: retryable ? 'yes' : 'no',
    text,
  }))
  const columns = ['code', 'kind', 'status', 'origin', 'retryable', 'text']
  const documented = rows('code', 'kind', 'status', 'origin', 'retryable', 'what happened').map((cells) =>
    Object.fromEntries(columns.map((column, index) => [column, cells[index]]))
  )
  t.deepEqual(documented, expected)
})

test('docs/errors.md has the codes that arise above the engine', (t) => {
  const above = ERROR_CODES.slice(table.length).map(quoted)
  t.deepEqual(rows('code', 'what happened').map(([code]) => code), above)
})

test('docs/errors.md says of every code what to do', (t) => {
  const advice = rows('code', '')
  t.deepEqual(advice.map(([code]) => code), ERROR_CODES.map(quoted))
  t.true(advice.every(([, text = '']) => text.endsWith('.')))
})

test('docs/errors.md has the codes of wrong arguments', (t) => {
  t.deepEqual(rows('code', 'class').map(([code]) => code).sort(), ARGUMENT_ERROR_CODES.map(quoted).sort())
})
