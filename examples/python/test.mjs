import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'

import { wheelPython } from '../../scripts/dlslime.mjs'
import { output, skip } from '../support/expect.mjs'

const { python, missing } = await wheelPython({ numpy: true })
if (missing !== undefined) skip(missing, 'MEMLANE_INTEROP')

const here = (path) => new URL(path, import.meta.url)
// Node 20 takes no TypeScript, and a newer one does not check it.
await output(here('../../node_modules/typescript/bin/tsc'), '--project', fileURLToPath(here('.')))
const said = await output(here('../../build/examples/python/main.mjs'), python, fileURLToPath(here('numpy_array.py')))
assert.match(said, /, the wire is legacy$/m)
assert.match(said, /^read 1000000 numbers, their sum is 499999500000; NumPy's is 499999500000$/m)
assert.match(said, /^row 7 begins with 7000$/m)
assert.match(said, /^wrote 0\.5 everywhere, in NumPy it is whole; the sum there is 500000$/m)
console.log(said.trimEnd())
