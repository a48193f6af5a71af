import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './error-table'

/** What `scripts/<name>` exports, which are the modules that tests share with the examples. */
export async function script<Exports>(name: string): Promise<Exports> {
  return (await import(pathToFileURL(join(root, 'scripts', name)).href)) as Exports
}
