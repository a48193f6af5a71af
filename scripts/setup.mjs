/**
 * Makes a clone ready to run: checks the tools, installs the development dependencies, builds what is stale.
 *
 * usage: node scripts/setup.mjs [--tests] [--rust]        --tests: the TypeScript tests too; --rust: the Rust tests too
 *        node scripts/setup.mjs --tools                   checks Node and Rust alone, for what builds itself by cargo
 *
 * Every npm script that runs the product begins with this, so that one command works in a fresh clone. Needs nothing installed
 * but Node and Rust, prints nothing on standard output, and when nothing is to be done takes a fraction of a second.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { SetupError, build, main, needsRust, root, run, step } from './build.mjs'
import { isInstalled } from './installed.mjs'

const NODE = [20, 19]
const RUST = [1, 88]

function olderThan([major, minor], [wantedMajor, wantedMinor]) {
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor)
}

function checkNode() {
  if (olderThan(process.versions.node.split('.').map(Number), NODE)) {
    throw new SetupError(`Node ${NODE.join('.')} or newer is needed, this is ${process.version}: get one from https://nodejs.org`)
  }
}

/** The [major, minor] that a tool says it is, or null when it does not run. */
function versionOf(tool) {
  const match = /(\d+)\.(\d+)\.\d+/.exec(spawnSync(tool, ['--version'], { cwd: root, encoding: 'utf8' }).stdout ?? '')
  return match && [Number(match[1]), Number(match[2])]
}

function checkRust() {
  for (const tool of ['cargo', 'rustc']) {
    const version = versionOf(tool)
    if (version === null) {
      throw new SetupError(`Rust ${RUST.join('.')} or newer is needed, and ${tool} does not run: install it from https://rustup.rs and open a new shell`)
    }
    if (olderThan(version, RUST)) {
      throw new SetupError(`Rust ${RUST.join('.')} or newer is needed, ${tool} is ${version.join('.')}: run \`rustup update stable\``)
    }
  }
}

/** Links an empty program, because a compiler without the C library's start files is there but cannot link either. */
function checkLinker() {
  if (Object.keys(process.env).some((name) => /^CARGO_TARGET_.+_LINKER$/.test(name))) return
  const folder = mkdtempSync(join(tmpdir(), 'memlane-setup-'))
  const { status } = spawnSync('cc', ['-x', 'c', '-o', join(folder, 'empty'), '-'], { input: 'int main(void) { return 0; }\n' })
  rmSync(folder, { recursive: true, force: true })
  if (status === 0) return
  const how = process.platform === 'darwin' ? 'run `xcode-select --install`' : 'install gcc and the C library headers (Debian and Ubuntu: `apt-get install build-essential`; Alpine: `apk add build-base`)'
  throw new SetupError(`a C compiler is needed, and \`cc\` cannot compile and link an empty program: ${how}`)
}

function installDependencies() {
  const command = existsSync(join(root, 'package-lock.json')) ? 'ci' : 'install'
  step(`installing the development dependencies (npm ${command})`, () => {
    // A shell set up for production would otherwise leave out the very packages that build this one.
    run('npm', [command, '--include=dev', '--no-audit', '--no-fund'], { doing: `npm ${command}`, live: true })
  })
}

/** The examples are a package of their own, and import memlane by name: the link that `npm ci` makes there, before anybody ran that. */
function linkExamples() {
  const link = join(root, 'examples', 'node_modules', 'memlane')
  if (existsSync(link)) return
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(join('..', '..'), link, 'dir')
}

function compileRustTests() {
  const doing = 'compiling the Rust tests'
  step(doing, () => run('cargo', ['test', '--workspace', '--no-run'], { doing, live: true }))
}

main((flags) => {
  const rustTests = flags.includes('--rust')
  const options = { debug: false, tests: flags.includes('--tests'), force: false }
  checkNode()
  if (flags.includes('--tools')) {
    checkRust()
    checkLinker()
    return
  }
  if (!isInstalled(root)) installDependencies()
  if (rustTests || needsRust(options)) {
    checkRust()
    checkLinker()
  }
  build(options)
  linkExamples()
  if (rustTests) compileRustTests()
})
