/**
 * Builds what is stale: the addon with its loader, `dist/`, and with `--tests` the compiled tests.
 *
 * usage: node scripts/build.mjs [--debug] [--tests] [--force] [--prebuilt]        --prebuilt: with the addon that is here
 *
 * Nothing is written to standard output, so a program that runs after a build owns its own. What is fresh is told by a hash of
 * every input and every output, kept under `build/stamps`: a clone, a checkout and a hand-edited generated file all count right.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const BUILD_SCRIPT = 'scripts/build.mjs'

/** One progress line. Plain text on standard error: it reads the same on a terminal, in a log and in a pipe. */
export function say(line) {
  process.stderr.write(`memlane: ${line}\n`)
}

/** Does something that takes its time, and tells when it begins and how long it took. */
export function step(line, body) {
  const start = performance.now()
  say(line)
  body()
  say(`done in ${((performance.now() - start) / 1000).toFixed(1)} s`)
}

/** A failure that is the user's to mend: shown as its one line, without a stack. */
export class SetupError extends Error {}

/** Runs a program quietly and returns its standard output; a terminal sees the program's own progress, a log only its failure. */
export function run(program, args, { doing, live = false } = {}) {
  const inherit = live && process.stderr.isTTY
  const result = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 256 << 20,
    stdio: ['ignore', inherit ? 2 : 'pipe', inherit ? 2 : 'pipe'],
  })
  if (result.error) throw new SetupError(`${doing} failed: ${result.error.message}`)
  if (result.status === 0) return result.stdout ?? ''
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`)
  throw new SetupError(`${doing} failed (${result.signal ?? `exit status ${result.status}`}): ${program} ${args.join(' ')}`)
}

const local = (name) => join(root, 'node_modules', '.bin', name)

/** Every file below the given paths that `keep` accepts, relative to the root, in a stable order. */
function filesIn(paths, keep = () => true) {
  const found = []
  for (const path of paths) {
    const full = join(root, path)
    if (!existsSync(full)) continue
    if (!statSync(full).isDirectory()) {
      found.push(path)
      continue
    }
    for (const entry of readdirSync(full, { withFileTypes: true, recursive: true })) {
      if (entry.isFile()) found.push(relative(root, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join('/'))
    }
  }
  return found.filter(keep).sort()
}

function fingerprint(files, extra = '') {
  const hash = createHash('sha256').update(extra)
  for (const file of files) {
    const bytes = readFileSync(join(root, file))
    hash.update(`\0${file}\0${bytes.byteLength}\0`).update(bytes)
  }
  return hash.digest('hex')
}

const manifest = () => JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const binaries = () => readdirSync(root).filter((file) => file.startsWith('memlane.') && file.endsWith('.node'))

/** The parts in the order in which they need each other. `inputs` and `outputs` are fingerprints. */
const PARTS = {
  native: {
    inputs({ debug }) {
      const { napi, version } = manifest()
      const environment = [debug, process.platform, process.arch, process.env.RUSTFLAGS]
      return fingerprint(filesIn(['Cargo.toml', 'Cargo.lock', 'crates', BUILD_SCRIPT]), JSON.stringify([napi, version, environment]))
    },
    outputs: () => binaries().length > 0 && fingerprint(filesIn(['native.js', 'native.d.ts', ...binaries()])),
    begin: ({ debug }) => `compiling the engine (${debug ? 'debug' : 'release; a minute or two the first time'})`,
    build: buildNative,
  },
  dist: {
    inputs: () => fingerprint(filesIn(['index.ts', 'redis.ts', 'cli.ts', 'src', 'tsconfig.json', BUILD_SCRIPT]), manifest().devDependencies.typescript),
    outputs: () => ENTRIES.every((entry) => existsSync(join(root, `dist/${entry}.mjs`))) && fingerprint(filesIn(['dist'])),
    begin: () => 'compiling the TypeScript',
    build: buildDist,
  },
  tests: {
    inputs() {
      const sources = filesIn(['__test__', 'dist', 'tsconfig.json', 'tsconfig.test.json', BUILD_SCRIPT], (file) => /\.(ts|mts|json|mjs)$/.test(file))
      return fingerprint(sources, manifest().devDependencies.typescript)
    },
    outputs: () => existsSync(join(root, 'build/test')) && fingerprint(filesIn(['build/test'])),
    begin: () => 'compiling the tests',
    build: () => compile('tsconfig.test.json', 'build/test'),
  },
}

function buildNative({ debug }) {
  const profile = debug ? [] : ['--release']
  const places = ['--manifest-path', 'crates/node/Cargo.toml', '--package-json-path', 'package.json', '--output-dir', '.']
  const names = ['--platform', '--js', 'native.js', '--dts', 'native.d.ts']
  run(local('napi'), ['build', ...profile, ...places, ...names], { doing: 'compiling the engine', live: true })
}

/** What `exports` in package.json offers: `memlane` and `memlane/redis`. */
const ENTRIES = ['index', 'redis']

function buildDist() {
  compile('tsconfig.json', 'dist', ENTRIES.flatMap((entry) => [`${entry}.mjs`, `${entry}.d.mts`, `${entry}.load.js`]))
  for (const entry of ENTRIES) {
    // A process of its own: an addon that does not load must fail this build, not end it.
    const print = `process.stdout.write(JSON.stringify(Object.keys(require("./dist/${entry}.js"))))`
    const names = JSON.parse(run(process.execPath, ['-e', print], { doing: 'loading the addon' }))
    // One implementation for both module systems, so that an endpoint made by one is an instance of the other's class.
    // Imported and required by plain words, which bundlers follow; what createRequire makes they do not see, and the bundle has no memlane.
    // By way of a function: Node 20 reports an error of an imported CommonJS module a second time, as one that nobody has caught.
    writeFileSync(join(root, `dist/${entry}.load.js`), `module.exports = () => require('./${entry}.js')\n`)
    writeFileSync(join(root, `dist/${entry}.mjs`), `import load from './${entry}.load.js'\n\nexport const { ${names.sort().join(', ')} } = load()\n`)
    writeFileSync(join(root, `dist/${entry}.d.mts`), `export * from './${entry}.js'\n`)
  }
}

/** Compiles a TypeScript project and removes what an earlier compilation left behind; a deleted test must not go on running. */
function compile(project, outDir, others = []) {
  const listing = run(process.execPath, [local('tsc'), '-p', project, '--listEmittedFiles'], { doing: `compiling ${project}` })
  const emitted = new Set(others.map((name) => `${outDir}/${name}`))
  for (const line of listing.split('\n')) {
    if (line.startsWith('TSFILE: ')) emitted.add(relative(root, line.slice('TSFILE: '.length).trim()).split(sep).join('/'))
  }
  for (const file of filesIn([outDir])) if (!emitted.has(file)) rmSync(join(root, file))
}

const stampOf = (part) => join(root, 'build', 'stamps', `${part}.json`)

function isFresh(part, options) {
  if (options.force || !existsSync(stampOf(part))) return false
  try {
    const stamp = JSON.parse(readFileSync(stampOf(part), 'utf8'))
    return stamp.outputs === PARTS[part].outputs() && stamp.inputs === PARTS[part].inputs(options)
  } catch {
    return false
  }
}

/** Whether building would run the Rust compiler. */
export function needsRust(options) {
  return !isFresh('native', options)
}

/** Builds the stale parts. Each part's staleness is judged after the part before it is built. */
export function build(options) {
  const parts = [...(options.prebuilt ? [] : ['native']), 'dist', ...(options.tests ? ['tests'] : [])]
  for (const part of parts) {
    if (isFresh(part, options)) continue
    const { inputs, outputs, begin, build: make } = PARTS[part]
    step(begin(options), () => {
      rmSync(stampOf(part), { force: true })
      // Taken before the build: a source edited meanwhile makes the part stale again.
      const stamp = { inputs: inputs(options) }
      make(options)
      mkdirSync(dirname(stampOf(part)), { recursive: true })
      writeFileSync(stampOf(part), JSON.stringify({ ...stamp, outputs: outputs() }))
    })
  }
}

/** Runs a script's body; a failure becomes a non-zero exit status, and the user's own mistakes one line. */
export function main(body) {
  try {
    body(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    say(error.message)
    process.exitCode = 1
  }
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main((flags) => build(Object.fromEntries(['debug', 'tests', 'force', 'prebuilt'].map((name) => [name, flags.includes(`--${name}`)]))))
}
