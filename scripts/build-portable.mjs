/**
 * Builds the addon for glibc 2.17 and newer, as a release has it, whatever the glibc of this machine.
 *
 * usage: node scripts/build-portable.mjs [--target TRIPLE] [--to FOLDER]
 *
 *   --target TRIPLE  x86_64-unknown-linux-gnu (without this option) or aarch64-unknown-linux-gnu, whose Rust standard library has
 *                    to be installed: `rustup target add aarch64-unknown-linux-gnu`
 *   --to FOLDER      where the addon goes; without it build/portable
 *
 * Compiler and sysroot are npm packages of napi-rs for Linux x64, which `scripts/toolchain/package-lock.json` names: gcc 4.8 with
 * glibc 2.17. `npm run test:package -- --binaries build/portable --glibc 2.17` shows that it is so.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SetupError, root, run, say, step } from './build.mjs'
import { install } from './install.mjs'
import { platforms } from './manifests.mjs'

const PACKAGES = fileURLToPath(new URL('./toolchain/', import.meta.url))
const FOLDER = join(root, 'build/toolchain')
const TOOLCHAINS = {
  'x86_64-unknown-linux-gnu': { package: '@napi-rs/cross-toolchain-x64-target-x86_64', flags: '' },
  // What that old compiler does not say of itself, and the assembler of `ring` asks for.
  'aarch64-unknown-linux-gnu': { package: '@napi-rs/cross-toolchain-x64-target-aarch64', flags: '-D__ARM_ARCH=8' },
}

function commandLine() {
  const options = { target: { type: 'string', default: 'x86_64-unknown-linux-gnu' }, to: { type: 'string' }, help: { type: 'boolean' } }
  try {
    return parseArgs({ options }).values
  } catch (error) {
    throw new SetupError(`${error.message.split('. ')[0]}; --help lists the options`)
  }
}

/** The toolchain's folder; it is unpacked once. */
async function toolchain(target) {
  const packages = join(FOLDER, 'packages')
  await install({ packages: PACKAGES, folder: packages, announcement: 'memlane: installing compilers for glibc 2.17 (94 MB)' })
  const folder = join(FOLDER, target)
  if (existsSync(folder)) return folder
  const archive = join(packages, 'node_modules', TOOLCHAINS[target].package, `${target}.tar.xz`)
  const unfinished = `${folder}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  run('tar', ['-xJf', archive, '-C', unfinished], { doing: 'unpacking the compiler (needs tar and xz)' })
  renameSync(unfinished, folder)
  return folder
}

/** Panics name source files: without the folders of whoever built it, two machines build the same. */
function withoutFolders() {
  const crates = process.env.CARGO_HOME ?? join(homedir(), '.cargo')
  return [[crates, 'cargo'], [root, 'memlane']].map(([folder, name]) => `--remap-path-prefix=${resolve(folder)}=${name}`)
}

async function build({ target, to }) {
  if (!(target in TOOLCHAINS)) throw new SetupError(`no toolchain for ${target}: there is one for ${Object.keys(TOOLCHAINS).join(' and ')}`)
  if (`${process.platform}-${process.arch}` !== 'linux-x64') throw new SetupError('the compilers for glibc 2.17 run on Linux x64')
  const napi = join(root, 'node_modules/.bin/napi')
  if (!existsSync(napi)) throw new SetupError('the development packages are not installed: run `npm ci` first')
  const tool = (name) => join(compilers, 'bin', `${target}-${name}`)
  const compilers = await toolchain(target)
  const underscored = target.replaceAll('-', '_')
  Object.assign(process.env, {
    [`CARGO_TARGET_${underscored.toUpperCase()}_LINKER`]: tool('gcc'),
    CARGO_ENCODED_RUSTFLAGS: withoutFolders().join('\x1f'),
    // By the target's name: the same architecture counts as the host, whose compiler would be taken for C.
    [`CC_${underscored}`]: tool('gcc'),
    [`AR_${underscored}`]: tool('ar'),
    [`CFLAGS_${underscored}`]: TOOLCHAINS[target].flags,
  })
  const folder = to === undefined ? join(root, 'build/portable') : resolve(to)
  const places = ['--manifest-path', 'crates/node/Cargo.toml', '--package-json-path', 'package.json', '--target-dir', join(FOLDER, 'target'), '--output-dir', folder]
  step(`compiling the engine for glibc 2.17 (${target})`, () => {
    mkdirSync(folder, { recursive: true })
    run(napi, ['build', '--release', '--target', target, '--platform', '--no-js', ...places, '--', '--locked'], { doing: 'compiling the engine', live: true })
    // The declarations are the clone's own.
    rmSync(join(folder, 'index.d.ts'), { force: true })
  })
  process.stdout.write(`${join(folder, platforms().find((platform) => platform.target === target).binary)}\n`)
}

try {
  const { help, ...options } = commandLine()
  if (help) process.stdout.write(`${/usage: [^]*?(?=\n \*\/)/.exec(readFileSync(fileURLToPath(import.meta.url), 'utf8'))[0].replaceAll(/\n \* ?/g, '\n')}\n`)
  else await build(options)
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  say(error.message)
  process.exitCode = 1
}
