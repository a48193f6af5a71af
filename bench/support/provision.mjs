/**
 * Sets up what contenders need and a machine may lack: npm packages and Python wheels into `build/bench`, Debian's
 * programs by apt-get. Whatever cannot be had throws one line that says why, and the contender is reported as absent.
 */
import { spawn } from 'node:child_process'
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { accessSync, constants } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../build/bench/', import.meta.url))
const PACKAGES = fileURLToPath(new URL('../packages/', import.meta.url))
const NODE_FOLDER = join(FOLDER, 'node')
const PYTHON_FOLDER = join(FOLDER, 'python')
const PACKAGE_FILES = ['package.json', 'package-lock.json', '.npmrc']

/** An installation that downloads nothing for so long is stuck. */
const PATIENCE_MS = 300_000

/** The interpreter of the bench's own environment; there once `wheels` has resolved. */
export const PYTHON = join(PYTHON_FOLDER, 'bin', 'python')

/** `require` for the packages of `bench/packages`, in any process, once `npmPackages` has resolved. */
export const requireContender = createRequire(join(NODE_FOLDER, 'index.js'))

const once = new Map()

/** What was begun is awaited by everybody who needs it, and a failure is the same for all of them. */
function shared(key, begin) {
  if (!once.has(key)) once.set(key, begin())
  return once.get(key)
}

/** Installs what the lock file of `bench/packages` names, without any script of those packages. */
export const npmPackages = () =>
  shared('npm', async () => {
    const [wanted, present] = await Promise.all(
      [join(PACKAGES, 'package-lock.json'), join(NODE_FOLDER, 'installed')].map((path) => readFile(path).catch(() => null)),
    )
    if (present !== null && wanted.equals(present)) return
    say('installing npm packages')
    await rm(NODE_FOLDER, { recursive: true, force: true })
    await mkdir(NODE_FOLDER, { recursive: true })
    await Promise.all(PACKAGE_FILES.map((file) => copyFile(join(PACKAGES, file), join(NODE_FOLDER, file))))
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    await run('npm', ['ci', ...options], { cwd: NODE_FOLDER })
    await copyFile(join(PACKAGES, 'package-lock.json'), join(NODE_FOLDER, 'installed'))
  })

/** Installs wheels, pinned as `name==version`, into a Python environment of the bench's own. Builds nothing. */
export async function wheels(...pins) {
  await shared('venv', environment)
  // One after the other: two pips in one environment tread on each other.
  for (const pin of pins) await shared(pin, () => queued(() => wheel(pin)))
}

/** The version of an installed wheel. */
export async function wheelVersion(name) {
  const program = `import importlib.metadata as m; print(m.version(${JSON.stringify(name)}))`
  return (await run(PYTHON, ['-c', program])).trim()
}

/** Sees that `program` can be run, by Debian's `packages` where it cannot. */
export const debianProgram = (program, ...packages) =>
  shared(program, async () => {
    if (!installed(program)) await debian(program, packages)
    if (!installed(program)) throw new Error(`${packages.join(' ')} installed, but there is no ${program}`)
  })

/** Sees that the shared libraries named are there, each a `[file, package]`. */
export const debianLibraries = (...libraries) =>
  shared(libraries.join(), async () => {
    // Not everybody's PATH has its folder; where there is none at all, the start of the contender tells.
    const known = await run('ldconfig', ['-p']).catch(() => run('/sbin/ldconfig', ['-p']).catch(() => null))
    const missing = libraries.filter(([file]) => known !== null && !known.includes(file))
    if (missing.length > 0) await debian(missing[0][0], missing.map(([, name]) => name))
  })

async function debian(what, packages) {
  const names = packages.join(' ')
  if (!installed('apt-get')) throw new Error(`no ${what}, and no apt-get to install ${names} with`)
  if (process.getuid?.() !== 0) throw new Error(`no ${what}; as root: apt-get install ${names}`)
  await queued(async () => {
    say(`installing ${names}`)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const install = ['install', '--yes', '--quiet', '--no-install-recommends', ...packages]
    // A list that is there may still do, and a machine without one has to fetch it first.
    await run('apt-get', install, { env }).catch(async () => {
      await run('apt-get', ['update', '--quiet'], { env })
      await run('apt-get', install, { env })
    })
  })
}

async function environment() {
  if (await run(PYTHON, ['-m', 'pip', '--version']).catch(() => null)) return
  if (!installed('python3')) throw new Error('no python3')
  say('making a Python environment')
  await rm(PYTHON_FOLDER, { recursive: true, force: true })
  await mkdir(FOLDER, { recursive: true })
  await run('python3', ['-m', 'venv', PYTHON_FOLDER])
}

async function wheel(pin) {
  const [name, version] = pin.split('==')
  if ((await wheelVersion(name).catch(() => null)) === version) return
  say(`installing ${pin}`)
  await run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary', ':all:', pin])
}

let queue = Promise.resolve()

function queued(work) {
  const result = queue.then(work)
  queue = result.catch(() => {})
  return result
}

function installed(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function say(text) {
  process.stderr.write(`bench: ${text}\n`)
}

/** The standard output; throws one line when the program fails. */
function run(program, options, { cwd, env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, options, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: PATIENCE_MS })
    let output = ''
    let complaints = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (complaints += text))
    child.on('error', (error) => reject(new Error(`${program} cannot be run: ${error.message}`)))
    child.on('close', (status, signal) => {
      if (status === 0) return resolve(output)
      const lines = complaints.split('\n').map((line) => line.trim()).filter((line) => line !== '')
      const reason = lines.find((line) => /^(E:|ERROR|npm error)/.test(line)) ?? lines.at(-1) ?? signal ?? `status ${status}`
      reject(new Error(`${program} ${options.find((option) => !option.startsWith('-')) ?? ''}: ${reason}`))
    })
  })
}
