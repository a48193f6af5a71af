/** Programs that measure by themselves and end: their output, and the processor time they took. */
import { spawn } from 'node:child_process'

import { pinned } from './spawn.mjs'

const PATIENCE_MS = 60_000

/**
 * bash alone tells what a program used: user and system time of the whole of it, on the last line of its errors. The group
 * ends with the input of bash, which also ends when the process that started it is killed.
 */
const TIMED = `exec 3<&0; (read -r _ <&3; kill -KILL 0) > /dev/null 2>&1 &
TIMEFORMAT="processor %U %S"; time "$@" < /dev/null 3<&-`

/**
 * `done` resolves with `{ output, cpu_s }` and throws what the program complained about last; `stop` ends it. A server
 * without `patienceMs` runs until then.
 */
export function timed(command, { cpu = null, env = {}, patienceMs = PATIENCE_MS } = {}) {
  const [program, ...options] = pinned(command.map(String), cpu)
  const child = spawn('bash', ['-c', TIMED, 'bash', program, ...options], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', ...env },
    // A group of its own, so that what bash waits for can be ended with it.
    detached: true,
  })
  let [output, complaints] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (complaints += text))
  child.stdin.on('error', () => {})
  let running = true
  const stop = () => {
    if (running) child.stdin.end()
  }
  const timer = patienceMs === null ? null : setTimeout(stop, patienceMs)
  const done = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => {
      running = false
      clearTimeout(timer)
      child.stdin.destroy()
      const times = /processor ([\d.]+) ([\d.]+)\s*$/.exec(complaints)
      if (status === 0 && times) return resolve({ output, cpu_s: Number(times[1]) + Number(times[2]) })
      const lines = `${output}\n${complaints.replace(/processor .*\s*$/, '')}`.split('\n')
      reject(new Error(`${command[0]}: ${lines.findLast((line) => /[a-z]/i.test(line))?.trim() ?? `status ${status}`}`))
    })
  })
  // Whoever stops a program may not wait for it.
  done.catch(() => {})
  return { done, stop }
}
