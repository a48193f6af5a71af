/** `npm run bench:plot`: draws pictures of what a run of the bench found. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { charts } from './plot/charts.mjs'
import { command } from './plot/command.mjs'
import { ResultsError, load } from './plot/results.mjs'

const HELP = `npm run bench:plot -- FILE.json [--out DIR]

  FILE.json    what \`npm run bench -- --json FILE.json\` wrote
  --out DIR    where the SVG files go (bench/results)
  --help       this text
`

command('bench:plot', HELP, { out: { type: 'string', default: 'bench/results' } }, ({ out }, [file, ...others]) => {
  if (file === undefined || others.length > 0) throw new ResultsError('one FILE.json is wanted; --help says more')
  const all = charts(load(file))
  mkdirSync(out, { recursive: true })
  for (const { file: name, svg, missing } of all) {
    if (svg !== undefined) writeFileSync(join(out, name), svg)
    console.log(svg === undefined ? `not drawn: ${name}: ${missing}` : join(out, name))
  }
})
