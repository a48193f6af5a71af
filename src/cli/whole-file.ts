import { accessSync, constants, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * Looks whether a file could be written, so that it is known before there is anything to write.
 *
 * @throws the system's error
 */
export function checkWritable(path: string): void {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there?.isDirectory() === true) throw Object.assign(new Error(`EISDIR: ${path}`), { code: 'EISDIR', syscall: 'open', path })
  if (there !== undefined) accessSync(path, constants.W_OK)
  if (there === undefined || there.isFile()) accessSync(dirname(placeOf(path)), constants.W_OK)
}

/**
 * Writes a file that is there whole or as it was before.
 *
 * @throws the system's error
 */
export function writeWhole(path: string, content: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) {
    // A pipe or a device is written as it is.
    writeFileSync(path, content)
    return
  }
  const place = placeOf(path)
  const beside = join(dirname(place), `.${basename(place)}.${process.pid}.part`)
  try {
    writeFileSync(beside, content, { flush: true })
    renameSync(beside, place)
  } catch (error) {
    rmSync(beside, { force: true })
    throw Object.assign(error as Error, { path })
  }
}

/** Where a link leads to: it is the file that is replaced, not the link. */
function placeOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
