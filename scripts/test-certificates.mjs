/**
 * Makes the certificates that the tests of the engine show each other, which hold for a hundred years and guard nothing.
 *
 * usage: node scripts/test-certificates.mjs        (after node scripts/build.mjs --tests)
 */
import { createRequire } from 'node:module'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './build.mjs'

const require = createRequire(import.meta.url)
const { authority, issue } = require(join(root, 'build/test/support/certificates.js'))

const CENTURY = 36_500
const long = { from: -1, to: CENTURY }
const fleet = authority('fleet', long)
const others = authority('others', long)
const made = {
  fleet,
  others,
  good: issue(fleet, { names: ['127.0.0.1'], ...long }),
  named: issue(fleet, { names: ['fleet.internal'], ...long }),
  foreign: issue(others, { names: ['127.0.0.1'], ...long }),
  expired: issue(fleet, { names: ['127.0.0.1'], from: -2, to: -1 }),
}

const folder = join(root, 'crates/engine/src/tests/certificates')
mkdirSync(folder, { recursive: true })
for (const [name, { cert, key }] of Object.entries(made)) {
  writeFileSync(join(folder, `${name}.pem`), name === 'fleet' || name === 'others' ? cert : `${cert}${key}`)
}
