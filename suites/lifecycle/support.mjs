/** What the programs of the cases share. They run on every runtime, so this has nothing that only one of them knows. */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROLE = 'MEMLANE_LIFECYCLE_ROLE'

/** What the run has told this case. */
export const settings = JSON.parse(process.argv[2] ?? '{}')

/** Which part of its case this process plays; empty in the one that the run has started. */
export const role = process.env[ROLE] ?? ''

/** What it came to; the last line of a case. */
export function passed(detail) {
  console.log(`passed: ${detail}`)
}

/** A line of why not, and the end. */
export function check(holds, what) {
  if (!holds) throw new Error(what)
}

export const url = (endpoint) => `tcp://127.0.0.1:${endpoint.port}`

/** The code that an operation fails with, or 'ok'. */
export const ending = (operation) => Promise.resolve(operation).then(() => 'ok', (error) => error.code ?? String(error))

/** Waits until something holds that nobody announces. */
export async function until(holds, what, patienceMs = 10_000) {
  const deadline = performance.now() + patienceMs
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`it does not come to be that ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Turns of the event loop, so that what is under way is at another place each time. */
export async function turns(count) {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

/** Endpoints of this process have no connection left that anybody dialled. */
export async function deserted(endpoint) {
  await until(() => endpoint.stats().connections.open === 0, 'no connection is left')
}

export const threads = () => readdirSync('/proc/self/task').length
export const descriptors = () => readdirSync('/proc/self/fd').length

/**
 * This very program in another process and another role: `ended` resolves with how that ended, `said` with its first line that
 * holds `text`. It ends with this one, because its input does.
 */
export function play(part, { file, args = [], patienceMs = 30_000 } = {}) {
  const program = file === undefined ? process.argv[1] : fileURLToPath(file)
  const child = spawn(process.execPath, [...process.execArgv, program, process.argv[2] ?? '{}', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, [ROLE]: part },
  })
  let output = ''
  const heard = new Set()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
      for (const hear of heard) hear()
    })
  }
  child.stdin.on('error', () => {})
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, patienceMs)
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      for (const hear of heard) hear()
      resolve({ code, signal: late ? `no end within ${patienceMs} ms` : signal, output })
    })
  })
  const said = (text) =>
    new Promise((resolve, reject) => {
      const hear = () => {
        const line = output.split('\n').slice(0, -1).find((one) => one.startsWith(text))
        if (line !== undefined) resolve(line.slice(text.length))
        else if (child.exitCode !== null || child.signalCode !== null) reject(new Error(`${part} ended without "${text}": ${output}`))
        else return
        heard.delete(hear)
      }
      heard.add(hear)
      hear()
    })
  return { child, ended, said }
}

/** A process that was started by `play` goes when the one that did so does. */
export function endWithParent() {
  process.stdin.on('end', () => process.exit(9)).resume()
  process.stdin.unref?.()
}

/** Fails unless a process ended in that way. */
export function checkEnd({ code, signal, output }, wanted, what) {
  const right = code === (wanted.code ?? null) && signal === (wanted.signal ?? null)
  check(right, `${what} ended with ${signal ?? `code ${code}`}, not ${wanted.signal ?? `code ${wanted.code}`}: ${output.slice(-2000)}`)
}
