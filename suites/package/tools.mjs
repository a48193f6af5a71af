/** What the cases need of npm: a registry server, a checker of types, and the npm that Node 22 comes with. */
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { install } from '../../scripts/install.mjs'
import { Skipped } from './expect.mjs'

const PACKAGES = fileURLToPath(new URL('./packages/', import.meta.url))
const FOLDER = fileURLToPath(new URL('../../build/package/tools/', import.meta.url))
const ANNOUNCEMENT = 'memlane: installing a registry server, npm 10 and a checker of types (about 120 MB)'

let installation

/** Where the packages lie; they are installed at the first call. */
export async function tools() {
  installation ??= install({ packages: PACKAGES, folder: FOLDER, announcement: ANNOUNCEMENT })
  try {
    await installation
  } catch (error) {
    throw new Skipped(`the tools cannot be installed: ${error.message}`)
  }
  return join(FOLDER, 'node_modules')
}

export const importTool = async (path) => import(pathToFileURL(join(await tools(), path)).href)
