import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Names as files in a folder that processes share. Whoever dies leaves its own behind. */
export class FileDirectory {
  #folder

  constructor(folder) {
    this.#folder = folder
  }

  async announce(name, info) {
    const path = join(this.#folder, name)
    await writeFile(`${path}.new`, JSON.stringify(info))
    await rename(`${path}.new`, path)
    // oxlint-disable-next-line unicorn/consistent-function-scoping -- nothing is renewed, and a name is lost unnoticed
    const close = () => Promise.resolve()
    return { name, lost: new Promise(() => undefined), close, [Symbol.asyncDispose]: close }
  }

  async lookup(name) {
    try {
      return JSON.parse(await readFile(join(this.#folder, name), 'utf8'))
    } catch {
      return undefined
    }
  }
}
