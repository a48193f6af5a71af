import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MemlaneError } from './errors.js'

/** Two levels up from dist/src: the package's own folder. */
const ROOT = join(__dirname, '..', '..')

/** Platforms that have a package, `memlane-<platform>`, with their binary. */
const PLATFORMS = ['linux-x64-gnu', 'linux-arm64-gnu', 'linux-x64-musl', 'linux-arm64-musl', 'darwin-x64', 'darwin-arm64']
const C_LIBRARIES: Readonly<Record<string, string>> = { gnu: 'glibc', musl: 'musl (Alpine)' }

interface Manifest {
  name: string
  version: string
  private?: boolean
}

const own = (): Manifest => require('../../package.json') as Manifest
const packageOf = (platform: string): string => `${own().name}-${platform}`

/** The version of an installed package, or what is wrong with its manifest; nothing where there is none. */
function found(name: string): { version?: string; broken?: string } {
  try {
    const manifest = require(`${name}/package.json`) as Partial<Manifest> | null
    return typeof manifest?.version === 'string' ? { version: manifest.version } : { broken: 'it has no version' }
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    return code === 'MODULE_NOT_FOUND' ? {} : { broken: oneLine(message) }
  }
}

const installed = (name: string): string | undefined => found(name).version

const oneLine = (message: string): string => (message.split('\n', 1)[0] as string).replace(/\.$/, '')

const report = () => process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
const glibc = (): string | undefined => report()?.header?.glibcVersionRuntime

/** This platform, as platform packages name it. */
function here(): string {
  const machine = `${process.platform}-${process.arch}`
  if (process.platform !== 'linux') return machine
  return `${machine}-${glibc() === undefined ? 'musl' : 'gnu'}`
}

/** What the system says when it is asked for a binary once more; undefined when it loads now. */
function complaint(binary: string): { words: string; code?: string | undefined } | undefined {
  try {
    require(binary)
    return undefined
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    return { words: oneLine(message), code }
  }
}

/** Commands that mend an installation: with npm 10 they also mend a lock file that lacks a platform, as `npm install` alone does not. */
const mended = (): string => `npm install --include=optional ${own().name}@${own().version} (pnpm and yarn: install --force)`

function notLoading(what: string, binary: string, otherwise: string): string {
  const { words, code } = complaint(binary) ?? { words: 'nothing at the second attempt' }
  const [, wanted] = /GLIBC_([\d.]+)' not found/.exec(words) ?? []
  let remedy = otherwise
  if (code === 'ERR_DLOPEN_DISABLED') remedy = 'Start Node without --no-addons'
  else if (wanted !== undefined) remedy = `It needs glibc ${wanted} and this system has ${glibc() ?? 'none'}: it takes a newer system`
  return `${what} does not load; the system says: ${words}. ${remedy}.`
}

function notInstalled(platform: string): string {
  const [os, cpu, abi] = platform.split('-')
  const others = PLATFORMS.filter((other) => other !== platform && installed(packageOf(other)) !== undefined)
  const sibling = others.find((other) => other.startsWith(`${os}-${cpu}-`))
  let cause = 'Either optional packages were left out (--omit=optional, --no-optional), or the lock file was made on another platform.'
  if (sibling !== undefined) {
    const [theirs, ours] = [sibling.split('-')[2], abi].map((name) => C_LIBRARIES[name ?? ''])
    cause = `${packageOf(sibling)} is: node_modules was installed on a system with ${theirs}, and this one has ${ours}.`
  } else if (others.length > 0) {
    cause = `${others.map(packageOf).join(', ')} is: node_modules was installed for another platform, or copied from it.`
  }
  return `the package ${packageOf(platform)}@${own().version} is not installed. ${cause} On this machine run: ${mended()}`
}

const WITHOUT = 'Without that variable the installed one is taken'

/** The variable that asks the loader for WebAssembly and nothing else. */
function onlyWebAssembly(): string | undefined {
  const { NAPI_RS_FORCE_WASI: force, NAPI_RS_WASI_FLAVOR: flavor } = process.env
  if (flavor) return 'NAPI_RS_WASI_FLAVOR'
  return force === 'error' ? 'NAPI_RS_FORCE_WASI' : undefined
}

/** What is wrong, beginning with what it is about, and what to do. `lacking` is a function that is not in what was loaded. */
function explanation(lacking?: string): string {
  const variable = onlyWebAssembly()
  if (variable !== undefined) return `the variable ${variable} asks for WebAssembly, and there is no such build. ${WITHOUT}.`
  const override = process.env.NAPI_RS_NATIVE_LIBRARY_PATH
  if (override !== undefined && override !== '') {
    const named = `${override}, which NAPI_RS_NATIVE_LIBRARY_PATH names,`
    return lacking === undefined ? notLoading(named, override, WITHOUT) : `${named} is ${notOurs(lacking)}. ${WITHOUT}.`
  }
  const platform = here()
  if (!PLATFORMS.includes(platform)) {
    const narrow = ['arm', 'ia32', 'mipsel', 'ppc', 's390'].includes(process.arch) ? ` This is a 32-bit Node: a 64-bit machine can run a 64-bit one.` : ''
    return `there is none for ${platform}: it runs on Linux (glibc and musl) and macOS, on x64 and arm64.${narrow}`
  }
  const local = join(ROOT, `${own().name}.${platform}.node`)
  if (existsSync(local)) {
    const remedy = 'Build it anew: npm run build'
    return lacking === undefined ? notLoading(local, local, remedy) : `${local} is ${notOurs(lacking)}. ${remedy}.`
  }
  // A manifest that is published is not private.
  if (own().private === true) return 'this is a clone, where `npm run build` makes it.'
  const name = packageOf(platform)
  const { version, broken } = found(name)
  if (broken !== undefined) return `the package.json of ${name} is broken: ${broken}. Install it anew: npm ci.`
  if (version === undefined) return notInstalled(platform)
  if (version !== own().version) return otherVersion(name, version)
  if (lacking !== undefined) return `what ${name}@${version} has is ${notOurs(lacking)}. Install it anew: npm ci.`
  return notLoading(`${name}@${version} is installed and`, name, 'Install it anew: npm ci')
}

const notOurs = (lacking: string): string => `not the binary of ${own().name} ${own().version}: it has no ${lacking}()`

const otherVersion = (name: string, version: string): string =>
  `${name} is ${version} and ${own().name} is ${own().version}: both have to be the same. On this machine run: ${mended()}`

/**
 * One line of what the generated loader tells as a chain of errors, each with the same stack: what it tried for this platform, and
 * not what it tried of WebAssembly, of which there is none.
 */
function gathered(error: unknown): Error {
  const tried: string[] = []
  for (let one = error; one instanceof Error; one = one.cause) tried.push(one.message.split('\n', 1)[0] as string)
  const [told = String(error), ...causes] = tried
  const others = causes.filter((line) => !/wasi/i.test(line))
  const cause = new Error(others.length > 0 ? others.join('; ') : told)
  cause.stack = String(cause)
  return cause
}

const bindingError = (why: string, cause?: Error): MemlaneError =>
  new MemlaneError(`memlane cannot load its native binary: ${why}`, { code: 'ERR_NATIVE_BINDING', origin: 'local', retryable: false, cause })

/** Why the native binary does not load, out of what the loader threw: which package is missing or at fault, and the command that mends it. */
export const unloadable = (error: unknown): MemlaneError => bindingError(explanation(), gathered(error))

/**
 * Fails when what was loaded is of another version than this package.
 *
 * Both sides read the same memory by a layout that versions may change: that must be an error, not wrong numbers.
 */
export function checkVersion(): void {
  if (process.env.NAPI_RS_NATIVE_LIBRARY_PATH) return
  const start = `${process.platform}-${process.arch}`
  for (const platform of PLATFORMS) {
    if (platform !== start && !platform.startsWith(`${start}-`)) continue
    const version = installed(packageOf(platform))
    if (version !== undefined && version !== own().version) throw bindingError(otherVersion(packageOf(platform), version))
  }
}

/**
 * Fails when what was loaded is not the engine, or lacks a function that this version's has.
 *
 * The generated loader takes whatever module a variable names, and sets the name of each function on it.
 */
export function checkFunctions(loaded: object): void {
  const functions = loaded as Record<string, unknown>
  const lacking = ['limitTable', ...Object.keys(loaded)].find((name) => typeof functions[name] !== 'function' && !name.startsWith('__'))
  if (lacking !== undefined) throw bindingError(explanation(lacking))
}
