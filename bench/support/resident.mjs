import { readFileSync, writeFileSync } from 'node:fs'

/** Linux resets the highest resident memory of a process to what it is now. */
const RESET = '5'

/** Begins to watch this process; the function that it returns says by how many bytes its resident memory has grown at most since. */
export function residentGrowth() {
  writeFileSync('/proc/self/clear_refs', RESET)
  const before = highest()
  return () => highest() - before
}

function highest() {
  const [, kib] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(kib) * 1024
}
