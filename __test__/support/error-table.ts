import { dirname, join } from 'node:path'

/** An error as the engine's table has it. */
export interface Row {
  code: string
  kind: string
  status?: number
  origin: string
  retryable: boolean
  text: string
}

/** The folder of the package under test. */
export const root = dirname(require.resolve('memlane/package.json'))

export const table = (require(join(root, 'native.js')) as { errorTable(): Row[] }).errorTable()
