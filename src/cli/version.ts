import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** memlane's version. */
export function version(): string {
  // Two levels up from dist/src/cli is dist; the manifest lies beside that.
  return (JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as { version: string }).version
}
