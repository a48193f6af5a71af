/** What the examples start their processes with. A program that is started here ends with whoever started it: its channel closes. */
import { fork } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { ended } from '../../bench/support/spawn.mjs'

const started = new Set()

/** Starts the program at `url`. What it prints is `child.stdout`; its complaints go where ours go. */
export function start(url, ...args) {
  const child = fork(fileURLToPath(url), args.map(String), { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  started.add(child.once('exit', () => started.delete(child)))
  return child
}

/** What it prints, line by line. */
export function lines(child) {
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]()
}

/** The first line that it prints; fails when it ends without one. */
export async function firstLine(child) {
  const { value, done } = await lines(child).next()
  if (done) throw new Error(`${child.spawnargs.slice(1).join(' ')} ended and said nothing`)
  child.stdout.resume()
  return value
}

/** Ends these processes, or all that are still there. */
export async function stop(...children) {
  const ending = children.length > 0 ? children : [...started]
  for (const child of ending) if (child.connected) child.disconnect()
  await Promise.all(ending.map((child) => ended(child)))
}

/** Runs the body of a program; a failure is its one line, unless `--debug` asks for the stack, and ends what was started. */
export async function run(name, body) {
  try {
    await body()
  } catch (error) {
    console.error(`${name}: ${process.argv.includes('--debug') ? error.stack : error.message}`)
    process.exitCode = 1
  } finally {
    await stop()
  }
}
