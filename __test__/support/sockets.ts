import { readdirSync, readlinkSync } from 'node:fs'
import test from 'ava'
import { onLinux } from './linux'

/** Tests that look into /proc; one after the other, because they count what the process has. */
export const withProc = onLinux(test.serial, 'what the process has open is counted in /proc, which only Linux has')

const DEADLINE_MS = 10_000

/** Sockets that this process has open, listening ones among them. */
export function sockets(): number {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:')
    } catch {
      // The descriptor that the folder itself was read through.
      return false
    }
  }).length
}

/** Turns of the event loop until `ask` gives `wanted`, or for so long that it never will; the last answer either way. */
export async function until<T>(wanted: T, ask: () => T, deadlineMs = DEADLINE_MS): Promise<T> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const answer = ask()
    if (answer === wanted || performance.now() > deadline) return answer
    await new Promise(setImmediate)
  }
}

/** A port that nobody is given who dials while nobody listens there, so that whoever ends can come back to it. */
export function fixedPort(below: (bound: number) => number): number {
  return 10_240 + below(20_000)
}
