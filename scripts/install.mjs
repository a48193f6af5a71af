/** What a script needs of npm and a clone does not have: installed from a lock file of its own into `build/`, when a run asks for it. */
import { spawn } from 'node:child_process'
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

const FILES = ['package.json', 'package-lock.json', '.npmrc']
const PATIENCE_MS = 600_000

/**
 * Installs what the lock file in `packages` names for this machine into `folder`, without any script of those packages. Does
 * nothing when it is there. `announcement` is printed before it begins.
 */
export async function install({ packages, folder, announcement }) {
  const lock = await readFile(join(packages, 'package-lock.json'))
  const stamp = await readFile(join(folder, 'installed')).catch(() => null)
  if (stamp !== null && lock.equals(stamp)) return
  process.stderr.write(`${announcement}\n`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await Promise.all(FILES.map((file) => copyFile(join(packages, file), join(folder, file))))
  await npmCi(folder)
  await copyFile(join(packages, 'package-lock.json'), join(folder, 'installed'))
}

function npmCi(cwd) {
  const args = ['ci', '--ignore-scripts', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']
  return new Promise((resolve, reject) => {
    const child = spawn('npm', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: PATIENCE_MS })
    let complaints = ''
    child.stderr.setEncoding('utf8').on('data', (text) => (complaints += text))
    child.on('error', (error) => reject(new Error(`npm cannot be run: ${error.message}`)))
    child.on('close', (status, signal) => {
      if (status === 0) resolve()
      else reject(new Error(`npm ci: ${firstLine(complaints, /^npm error/) || (signal ?? `status ${status}`)}`))
    })
  })
}

/** The first line of a text that matches; empty when none does. */
export function firstLine(text, wanted = /./) {
  return text.split('\n').find((line) => wanted.test(line)) ?? ''
}
