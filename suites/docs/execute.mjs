/** Runs programs of examples, each in a process of its own that has to end in time. */
import { spawn } from 'node:child_process'
import process from 'node:process'

/** No example works for so long: one that does waits for something that does not come. */
const PATIENCE_MS = 60_000

const environment = { ...process.env, MEMLANE_TOKEN: 'an example is no secret, this one least of all', NODE_NO_WARNINGS: '1' }

function start(program, args, cwd) {
  const child = spawn(program, args, { cwd, env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', error: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (said.error += text))
  const ended = new Promise((resolve) => {
    child.on('error', (error) => resolve({ failure: error.message }))
    child.on('close', (status, signal) => resolve({ status, signal }))
  })
  return { child, said, ended }
}

/** Runs it to its end; `{ out }`, or `{ out, failure, error }` with what went wrong and all that it said about that. */
export async function execute(program, args, cwd) {
  const { child, said, ended } = start(program, args, cwd)
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  const { status, signal, failure } = await ended
  clearTimeout(timer)
  if (status === 0) return { out: said.out }
  const how = failure ?? (signal === 'SIGKILL' ? `it did not end within ${PATIENCE_MS / 1000} s` : `exit status ${status ?? signal}`)
  return { out: said.out, failure: `${how}${reason(said.error)}`, error: said.error }
}

/** Starts what serves: settled when it has printed its first line; `stop` ends it. */
export async function serve(program, args, cwd) {
  const { child, said, ended } = start(program, args, cwd)
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
  }
  let timer
  const ready = new Promise((resolve) => child.stdout.on('data', () => said.out.includes('\n') && resolve('ready')))
  const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE_MS, 'late')))
  const what = await Promise.race([ready, late, ended])
  clearTimeout(timer)
  if (what === 'ready') return { out: said.out, stop }
  await stop()
  const how = what === 'late' ? `it printed no line within ${PATIENCE_MS / 1000} s` : `it ended before it printed a line`
  return { out: said.out, failure: `${how}${reason(said.error)}`, stop: async () => undefined }
}

/** The line of what a program wrote to its standard error that says most. */
function reason(text) {
  const lines = text.split('\n').map((line) => line.trim())
  const told = lines.find((line) => /^(\[?\w*(Error|ERR_)|Error)/.test(line)) ?? lines.findLast((line) => line !== '')
  return told === undefined ? '' : `: ${told}`
}

/**
 * Where an output differs from what a document shows, or undefined. `…` in a line stands for anything there, a line of nothing else for
 * any lines.
 */
export function difference(shown, out) {
  const escaped = (text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  const lines = shown.trimEnd().split('\n')
  const pattern = lines.map((line) => (line.trim() === '…' ? '(?:.*\\n)*?' : `${line.trimEnd().split('…').map(escaped).join('.*')}[ \\t]*\\n`)).join('')
  if (new RegExp(`^${pattern}$`).test(`${out.trimEnd()}\n`)) return undefined
  return `it prints\n${out.trimEnd()}`
}
