/** `npm run bench:docs`: writes what a run of the bench found where it is read. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { fill } from './docs/documents.mjs'
import { pageParts } from './docs/page.mjs'
import { readmeParts } from './docs/readme.mjs'
import { charts } from './plot/charts.mjs'
import { command } from './plot/command.mjs'
import { ResultsError, format, load } from './plot/results.mjs'

const FOLDER = 'docs/performance'
const KEPT = `${FOLDER}/bench.json`
/** Documents with figures in their sentences and tables, and no part of their own. */
const FIGURES = ['docs/tuning.md', 'docs/comparison.md']
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

const HELP = `npm run bench:docs -- [FILE.json] [options]

  FILE.json    what \`npm run bench -- --json FILE.json\` wrote; without it, what was kept of the last one (${KEPT})
  --check      writes nothing, and exits with status 1 when a document is not what would be written
  --root DIR   where README.md and docs/ are (this repository)
  --help       this text
`

const OPTIONS = { check: { type: 'boolean', default: false }, root: { type: 'string', default: ROOT } }

command('bench:docs', HELP, OPTIONS, ({ check, root }, [file = join(root, KEPT), ...others]) => {
  if (others.length > 0) throw new ResultsError('one FILE.json is wanted; --help says more')
  const wanted = documents(load(file), root)
  const there = (name) => (existsSync(join(root, name)) ? readFileSync(join(root, name), 'utf8') : null)
  const pictures = existsSync(join(root, FOLDER)) ? readdirSync(join(root, FOLDER)).filter((name) => name.endsWith('.svg')) : []
  const spare = pictures.map((name) => `${FOLDER}/${name}`).filter((name) => !wanted.has(name))
  const stale = [...wanted].filter(([name, text]) => there(name) !== text)
  if (check) {
    const names = [...stale.map(([name]) => name), ...spare]
    if (names.length > 0) throw new ResultsError(`not what ${KEPT} makes: ${names.join(', ')}; run \`npm run bench:docs\``)
    return
  }
  mkdirSync(join(root, FOLDER), { recursive: true })
  for (const [name, text] of stale) writeFileSync(join(root, name), text)
  for (const name of spare) rmSync(join(root, name))
  for (const name of [...stale.map(([one]) => one), ...spare]) console.log(name)
})

/** Every file that a run makes, by name. */
function documents(results, root) {
  const all = charts(results)
  const filled = (name, parts) => [name, fill(name, readFileSync(join(root, name), 'utf8'), parts, results)]
  return new Map([
    [KEPT, format(results)],
    ...all.filter(({ svg }) => svg !== undefined).map(({ file, svg }) => [`${FOLDER}/${file}`, svg]),
    filled('docs/performance.md', pageParts(results, all)),
    ...FIGURES.map((name) => filled(name, {})),
    filled('README.md', readmeParts(results, all)),
  ])
}
