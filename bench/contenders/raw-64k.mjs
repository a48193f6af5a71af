/** The same programs with system calls of 64 KiB: no goal is measured by it, but its figure belongs beside theirs. */
import { startRaw } from './raw.mjs'

export const name = 'raw, 64 KiB calls'

export const start = (options) => startRaw({ ...options, callBytes: 64 << 10 })
