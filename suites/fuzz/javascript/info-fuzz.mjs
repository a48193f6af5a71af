/** Fuzzes endpoint info for so many seconds, and its report is the last line; or keeps of what was found what reaches more than the corpus. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { corpus, fewest, fuzz } from './info.mjs'
import { Random } from '../../../bench/support/random.mjs'

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '0' }, seconds: { type: 'string', default: '0' }, work: { type: 'string' }, keep: { type: 'boolean', default: false } },
})
const CORPUS = new URL('../corpus/info/', import.meta.url)
const found = join(values.work, 'found')
mkdirSync(found, { recursive: true })
const before = readdirSync(found).sort().map((name) => readFileSync(join(found, name), 'utf8'))
const kept = corpus(CORPUS).map(({ text }) => text)
const nameOf = (text) => createHash('sha1').update(text).digest('hex')

if (values.keep) {
  const more = fewest(kept, before)
  for (const text of more) writeFileSync(new URL(`${nameOf(text)}.json`, CORPUS), text)
  process.stdout.write(`info: ${kept.length} inputs, and ${more.length} more\n`)
} else {
  const inputs = [...kept, ...before]
  const { executions, kept: more, blocks, finding } = fuzz({ seconds: Number(values.seconds), random: new Random(Number(values.seed)), inputs })
  for (const text of more) writeFileSync(join(found, nameOf(text)), text)
  const report = { executions, blocks, corpus: inputs.length + more.length, finding: finding?.input, what: finding?.error.message }
  process.stdout.write(`${JSON.stringify(report)}\n`)
  process.exitCode = finding === undefined ? 0 : 1
}
