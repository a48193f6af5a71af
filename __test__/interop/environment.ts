import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** The version whose wire and habits these tests hold memlane to. */
export const WHEEL_VERSION = '0.1.23'

/** The project's root: the nearest folder above that has memlane's package.json. */
export const ROOT = projectRoot(__dirname)

export type Environment = { python: string } | { missing: string }

const run = promisify(execFile)
const INSTALL_TIMEOUT_MS = 240_000
const DEBIAN_LIBRARIES = 'the wheel needs the Debian packages libibverbs1 and librdmacm1'

let found: Promise<Environment> | undefined

/**
 * A Python that can import the wheel, or why there is none. Makes a virtual environment under `build/interop` the first time;
 * `MEMLANE_WHEEL_PYTHON` names an interpreter that has the wheel already.
 */
export function environment(): Promise<Environment> {
  return (found ??= find())
}

async function find(): Promise<Environment> {
  const given = process.env.MEMLANE_WHEEL_PYTHON
  if (given) return tryImport(given)
  const python = process.env.PYTHON ?? 'python3'
  let version: string
  try {
    version = (await run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])).stdout.trim()
  } catch (error) {
    return { missing: `no Python: ${lastLine(error)}` }
  }
  const cache = join(ROOT, 'build', 'interop')
  const home = join(cache, `dlslime-${WHEEL_VERSION}-python-${version}`)
  mkdirSync(cache, { recursive: true })
  if (!existsSync(home)) {
    const missing = await install(python, home)
    if (missing) return { missing }
  }
  return tryImport(join(home, 'bin', 'python'))
}

async function install(python: string, home: string): Promise<string | undefined> {
  // Made aside and renamed when whole: an interrupted set-up is never taken for a finished one.
  const unfinished = `${home}.${process.pid}`
  try {
    await run(python, ['-m', 'venv', unfinished], { timeout: INSTALL_TIMEOUT_MS })
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    return `no virtual environment: ${lastLine(error)}`
  }
  try {
    const arguments_ = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `dlslime==${WHEEL_VERSION}`]
    await run(join(unfinished, 'bin', 'python'), arguments_, { timeout: INSTALL_TIMEOUT_MS })
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    return `dlslime ${WHEEL_VERSION} cannot be installed: ${lastLine(error)}`
  }
  renameSync(unfinished, home)
  return undefined
}

async function tryImport(python: string): Promise<Environment> {
  try {
    await run(python, ['-c', 'from dlslime import TcpEndpoint'], { timeout: 60_000 })
    return { python }
  } catch (error) {
    const text = lastLine(error)
    return { missing: /lib(ibverbs|rdmacm)/.test(text) ? `${DEBIAN_LIBRARIES}: ${text}` : `the wheel cannot be imported: ${text}` }
  }
}

function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  return (stderr?.trim() || message).split('\n').at(-1)!
}

function projectRoot(from: string): string {
  const manifest = join(from, 'package.json')
  if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'memlane') return from
  const above = dirname(from)
  if (above === from) throw new Error("no folder above the tests has memlane's package.json")
  return projectRoot(above)
}
