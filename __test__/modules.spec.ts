import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { root } from './support/error-table'

const ENTRIES = ['memlane', 'memlane/redis'] as const

for (const entry of ENTRIES) {
  test(`${entry} has the same names, and the same things behind them, imported and required`, async (t) => {
    const imported = (await import(entry)) as Record<string, unknown>
    const required = require(entry) as Record<string, unknown>
    t.true(Object.keys(required).length > 0)
    t.deepEqual(Object.keys(imported).sort(), Object.keys(required).sort())
    for (const [name, value] of Object.entries(required)) t.is(imported[name], value, name)
  })
}

/** The files that a bundler finds from one on: by `import` and `require` of relative paths, each a plain word. */
function followed(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file) || !existsSync(file)) return found
  found.add(file)
  if (!/\.m?js$/.test(file)) return found
  const text = readFileSync(file, 'utf8')
  // Only where `require` is Node's own: another of that name is a function like any other to a bundler.
  const words = /\bcreateRequire\b/.test(text) ? /\bfrom '(\.[^']+)'/g : /\b(?:from |require\()['"](\.[^'"]+)['"]/g
  for (const [, path] of text.matchAll(words)) followed(join(dirname(file), path as string), found)
  return found
}

for (const entry of ['index', 'redis']) {
  test(`a bundler finds what dist/${entry}.mjs needs, so that it fails while bundling and not at start`, (t) => {
    const needed = [...followed(join(root, `dist/${entry}.js`))]
    t.true(entry === 'redis' || needed.includes(join(root, 'native.js')))
    const found = followed(join(root, `dist/${entry}.mjs`))
    t.deepEqual(needed.filter((file) => !found.has(file)), [])
  })
}
