import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'

const root = dirname(require.resolve('memlane/package.json'))
const ENGINE = 'crates/engine/src/'

/** The rooms of the engine by the table of docs/architecture.md: those of one row are one level. */
function levels(): Map<string, number> {
  const [, table = ''] = readFileSync(join(root, 'docs', 'architecture.md'), 'utf8').split('\n## Rooms\n')
  const rows = table.split('\n').filter((line) => line.startsWith(`| \`${ENGINE}`))
  return new Map(
    rows.flatMap((row, level) =>
      [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, path = '']) => [room(path.replace(ENGINE, '')), level] as const)
    )
  )
}

/** The room of a file of the engine: the folder or file at its top. */
const room = (path: string) => (path.split('/')[0] ?? '').replace('.rs', '')

/** The rooms that a source names behind `crate::`. */
function imported(source: string): string[] {
  const lists = [...source.matchAll(/crate::\{(.*?)\};/gs)].map(([, list = '']) => {
    let flat = list
    while (flat.includes('{')) flat = flat.replace(/\{[^{}]*\}/g, '')
    return flat.split(',').map((name) => (name.trim().split('::')[0] ?? '').trim())
  })
  const single = [...source.matchAll(/crate::(\w+)/g)].map(([, name = '']) => name)
  return [...lists.flat(), ...single].filter((name) => name !== '')
}

test('a file of the engine imports only from rooms that stand above its own, or beside it, in docs/architecture.md', (t) => {
  const order = levels()
  const files = readdirSync(join(root, ENGINE), { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.rs') && path !== 'lib.rs' && !/(^|\/)tests(\/|\.rs)/.test(path)
  )
  t.deepEqual([...new Set(files.map(room))].filter((name) => !order.has(name)), [], 'rooms that the table leaves out')
  for (const path of files) {
    const own = order.get(room(path)) as number
    for (const name of imported(readFileSync(join(root, ENGINE, path), 'utf8'))) {
      const other = order.get(name)
      if (other !== undefined) t.true(other <= own, `${path} imports ${name}, which the table has below it`)
    }
  }
})

test('the command line uses what is public, and its own files; no other file of src knows of it', (t) => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))
  for (const path of sources) {
    const importing = [...readFileSync(join(root, 'src', path), 'utf8').matchAll(/(?:from|import\() ?'(\.[^']+)'/g)]
    for (const [, target = ''] of importing) {
      const file = join('src', dirname(path), target)
      if (path.startsWith('cli/')) t.true(file.startsWith('src/cli/') || file === 'index.js', `${path} imports ${file}`)
      else t.false(file.startsWith('src/cli/'), `${path} imports ${file}`)
    }
  }
})
