import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Whether what is installed in `folder` is what its lock file names. Compared by content: a checkout changes times, not versions. */
export function isInstalled(folder) {
  const read = (path) => JSON.parse(readFileSync(join(folder, path), 'utf8')).packages
  try {
    const installed = read('node_modules/.package-lock.json')
    // npm leaves an optional package out where it does not fit the machine; what lies outside of the folder is a link's target.
    return Object.entries(read('package-lock.json')).every(
      ([path, { version, optional }]) => !path.startsWith('node_modules/') || optional || (path in installed && installed[path].version === version)
    )
  } catch {
    return false
  }
}
