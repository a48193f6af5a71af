/** A Python with the `dlslime` wheel, for the tests and the example that speak with it. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The version whose wire and habits memlane is held to. */
export const WHEEL_VERSION = '0.1.23'
const NUMPY_VERSION = '2.4.6'

const CACHE = join(dirname(dirname(fileURLToPath(import.meta.url))), 'build', 'interop')
const INSTALL_TIMEOUT_MS = 240_000
const IMPORT_TIMEOUT_MS = 60_000
const DEBIAN_LIBRARIES = 'the wheel needs the Debian packages libibverbs1 and librdmacm1'

const run = promisify(execFile)
const found = new Map()

/**
 * `{ python }`, a Python that can import the wheel, with `numpy` NumPy too, or `{ missing }`, why there is none. Makes a virtual
 * environment under `build/interop` the first time; `MEMLANE_WHEEL_PYTHON` names an interpreter that has all of it already.
 */
export function wheelPython({ numpy = false } = {}) {
  if (!found.has(numpy)) found.set(numpy, numpy ? withNumpy() : find())
  return found.get(numpy)
}

async function find() {
  const given = process.env.MEMLANE_WHEEL_PYTHON
  if (given) return tryImport(given)
  const python = process.env.PYTHON ?? 'python3'
  let version
  try {
    version = (await run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])).stdout.trim()
  } catch (error) {
    return { missing: `no Python: ${lastLine(error)}` }
  }
  mkdirSync(CACHE, { recursive: true })
  const home = join(CACHE, `dlslime-${WHEEL_VERSION}-python-${version}`)
  if (!existsSync(home)) {
    const missing = await make(python, home)
    if (missing) return { missing }
  }
  return tryImport(join(home, 'bin', 'python'))
}

async function make(python, home) {
  // Made aside and renamed when whole: an interrupted set-up is never taken for a finished one.
  const unfinished = `${home}.${process.pid}`
  try {
    await run(python, ['-m', 'venv', unfinished], { timeout: INSTALL_TIMEOUT_MS })
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    return `no virtual environment: ${lastLine(error)}`
  }
  const missing = await install(join(unfinished, 'bin', 'python'), 'dlslime', WHEEL_VERSION)
  if (missing) rmSync(unfinished, { recursive: true, force: true })
  else renameSync(unfinished, home)
  return missing
}

async function withNumpy() {
  const environment = await wheelPython()
  if ('missing' in environment) return environment
  const { python } = environment
  const there = () => run(python, ['-c', 'import numpy'], { timeout: IMPORT_TIMEOUT_MS }).then(() => true, () => false)
  if (await there()) return environment
  if (process.env.MEMLANE_WHEEL_PYTHON) return { missing: `${python} has no NumPy` }
  const missing = await install(python, 'numpy', NUMPY_VERSION, ['--only-binary', ':all:'])
  if (missing) return { missing }
  return (await there()) ? environment : { missing: 'NumPy cannot be imported' }
}

async function install(python, name, version, more = []) {
  try {
    const options = ['--quiet', '--disable-pip-version-check', ...more]
    await run(python, ['-m', 'pip', 'install', ...options, `${name}==${version}`], { timeout: INSTALL_TIMEOUT_MS })
    return undefined
  } catch (error) {
    return `${name} ${version} cannot be installed: ${lastLine(error)}`
  }
}

async function tryImport(python) {
  try {
    await run(python, ['-c', 'from dlslime import TcpEndpoint'], { timeout: IMPORT_TIMEOUT_MS })
    return { python }
  } catch (error) {
    const text = lastLine(error)
    return { missing: /lib(ibverbs|rdmacm)/.test(text) ? `${DEBIAN_LIBRARIES}: ${text}` : `the wheel cannot be imported: ${text}` }
  }
}

function lastLine({ stderr, message, killed }) {
  if (killed) return 'it was not over in time'
  return (stderr?.trim() || message.trim()).split('\n').at(-1)
}
