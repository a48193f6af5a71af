import { script } from '../support/script'

export { root as ROOT } from '../support/error-table'

export type Environment = { python: string } | { missing: string }

interface Wheel {
  WHEEL_VERSION: string
  wheelPython(): Promise<Environment>
}

/** The wheel's version, and a Python that can import it or why there is none. */
export const wheel = script<Wheel>('dlslime.mjs')
