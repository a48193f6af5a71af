/** The runtimes that a run is over: npm packages that hold one binary each, in `build/lifecycle`. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { firstLine, install } from '../../scripts/install.mjs'

const PACKAGES = fileURLToPath(new URL('./packages/', import.meta.url))
const FOLDER = fileURLToPath(new URL('../../build/lifecycle/runtimes/', import.meta.url))
const ANNOUNCEMENT = 'memlane: installing Node 20, 22, 24 and 26, Bun and Deno (about 1 GB)'

/** The lines of Node that the package supports. */
export const NODE_LINES = ['20', '22', '24', '26']

const machine = `${process.platform}-${process.arch}`
const bunMachine = machine.replace('arm64', 'aarch64')

/** Where each runtime's binary is once it is installed, and what it takes before a program. */
const KNOWN = [
  ...NODE_LINES.map((line) => ({ kind: 'node', line, file: `node-${line}-${machine}/bin/node`, arguments: ['--expose-gc'] })),
  { kind: 'bun', file: `@oven/bun-${bunMachine}/bin/bun`, arguments: [] },
  { kind: 'deno', file: `@deno/${machine}-glibc/deno`, arguments: ['run', '--allow-all', '--quiet'] },
]

/**
 * The runtimes asked for, each with its `name`, its `binary` and how a program is run on it, or with `skipped`, the reason why it
 * is not here.
 */
export async function runtimes(lines, others) {
  const wanted = KNOWN.filter(({ kind, line }) => (kind === 'node' ? lines.includes(line) : others))
  const failure = await install({ packages: PACKAGES, folder: FOLDER, announcement: ANNOUNCEMENT }).then(
    () => null,
    (error) => error.message,
  )
  return wanted.map((runtime) => {
    const binary = join(FOLDER, 'node_modules', runtime.file)
    const name = [runtime.kind, runtime.line].filter(Boolean).join(' ')
    if (!existsSync(binary)) return { ...runtime, name, skipped: failure ?? `no binary for ${machine} is on npm` }
    const { stdout, stderr, status, error } = spawnSync(binary, ['--version'], { encoding: 'utf8' })
    if (status !== 0) return { ...runtime, name, skipped: `its binary does not run: ${error?.message ?? firstLine(stderr)}` }
    const [version] = /\d+\.\d+\.\d+/.exec(stdout) ?? ['']
    return { ...runtime, name: `${runtime.kind} ${version}`, version, binary }
  })
}
