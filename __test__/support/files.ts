import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'

let count = 0

/** A file of these bytes, in a folder of its own; both are gone when the test ends. */
export function file(t: ExecutionContext, bytes: Uint8Array): string {
  const path = join(folder(t), `file-${count++}`)
  writeFileSync(path, bytes)
  return path
}

/** A folder that is gone when the test ends. */
export function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'memlane-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Open descriptors of this process; the one that lists them is among them each time. */
export function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

/** Mappings of files below that folder. */
export function mappings(path: string): number {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes(path)).length
}
