import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { root } from './support/error-table'
import { onLinux, where } from './support/linux'

interface Shown {
  name: string
  code: string
  retryable: boolean
  message: string
  cause: string
  shown: string
}

interface Manifest {
  name: string
  version: string
  private?: boolean
  napi: { targets: string[] }
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const { version } = manifest
const platform = ['linux-x64-gnu', 'linux-arm64-gnu', 'linux-x64-musl', 'linux-arm64-musl', 'darwin-x64', 'darwin-arm64'].find((name) =>
  existsSync(join(root, `memlane.${name}.node`))
) as string
const [os, cpu, abi] = platform.split('-')
const BINARY = readFileSync(join(root, `memlane.${platform}.node`))
const PROGRAM = `
  try { require('memlane'); console.log('null') } catch (error) {
    const { name, code, retryable, message } = error
    console.log(JSON.stringify({ name, code, retryable, message, cause: String(error.cause), shown: require('node:util').inspect(error) }))
  }`

interface Installation {
  /** Platform packages by name, each with its version, the bytes of its binary, and its package.json where it is another. */
  packages?: Record<string, { version?: string; binary?: Buffer | string; manifest?: string }>
  clone?: boolean
  /** Runs before anything else does. */
  before?: string
  nodeOptions?: string[]
  environment?: Record<string, string>
}

/** What a program is told that requires memlane as it is installed in a folder of its own; null when that works. */
function requireFrom(t: ExecutionContext, { packages = {}, clone = false, before = '', nodeOptions = [], environment = {} }: Installation): Shown | null {
  const folder = mkdtempSync(join(tmpdir(), 'memlane-binding-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const own = join(folder, 'node_modules/memlane')
  mkdirSync(own, { recursive: true })
  cpSync(join(root, 'dist'), join(own, 'dist'), { recursive: true })
  copyFileSync(join(root, 'native.js'), join(own, 'native.js'))
  writeFileSync(join(own, 'package.json'), JSON.stringify({ ...manifest, ...(clone ? {} : { private: undefined }) }))
  for (const [name, { version: itsVersion = version, binary = BINARY, manifest: itsManifest }] of Object.entries(packages)) {
    const place = join(folder, 'node_modules', `memlane-${name}`)
    mkdirSync(place)
    const told = itsManifest ?? JSON.stringify({ name: `memlane-${name}`, version: itsVersion, main: `memlane.${name}.node` })
    writeFileSync(join(place, 'package.json'), told)
    writeFileSync(join(place, `memlane.${name}.node`), binary)
  }
  writeFileSync(join(folder, 'program.cjs'), before + PROGRAM)
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeOptions, 'program.cjs'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: '', ...environment },
  })
  t.is(stderr, '')
  t.is(status, 0)
  const shown = JSON.parse(stdout) as Shown | null
  if (shown === null) return null
  t.like(shown, { name: 'MemlaneError', code: 'ERR_NATIVE_BINDING', retryable: false })
  t.regex(shown.message, /^memlane cannot load its native binary: [^\n]+$/)
  if (!Object.keys(environment).some((name) => name.includes('WASI'))) t.notRegex(shown.shown, /wasi/i)
  t.true(shown.shown.split('\n').length < 25, shown.shown)
  return shown
}

/** The message of what it is told; memlane must not load. */
const complaint = (t: ExecutionContext, installation: Installation): string => {
  const shown = requireFrom(t, installation)
  t.not(shown, null, 'memlane loads')
  return shown?.message ?? ''
}

const COMMAND = `npm install --include=optional memlane@${version} (pnpm and yarn: install --force)`

test('with its platform package beside it, it loads', (t) => {
  t.is(requireFrom(t, { packages: { [platform]: {} } }), null)
})

test('without a platform package the error names it with its version, why that comes to be, and the command that mends it', (t) => {
  const message = complaint(t, {})
  t.true(message.includes(`the package memlane-${platform}@${version} is not installed.`), message)
  t.regex(message, /--omit=optional.*lock file was made on another platform/)
  t.true(message.endsWith(`On this machine run: ${COMMAND}`), message)
})

test('with the package of another machine the error says that node_modules is from there', (t) => {
  const other = os === 'darwin' ? 'linux-x64-gnu' : 'darwin-arm64'
  const message = complaint(t, { packages: { [other]: { binary: '' } } })
  t.true(message.includes(`the package memlane-${platform}@${version} is not installed. memlane-${other} is: node_modules was installed for another platform`), message)
  t.true(message.endsWith(COMMAND), message)
})

const linux = onLinux(test, 'only Linux has two C libraries')

linux('with the package of the other C library the error says which of them is which', (t) => {
  const [theirs, ours, other] = abi === 'gnu' ? ['musl (Alpine)', 'glibc', 'musl'] : ['glibc', 'musl (Alpine)', 'gnu']
  const message = complaint(t, { packages: { [`linux-${cpu}-${other}`]: { binary: '' } } })
  t.true(message.includes(`memlane-linux-${cpu}-${other} is: node_modules was installed on a system with ${theirs}, and this one has ${ours}.`), message)
  t.true(message.endsWith(COMMAND), message)
})

linux('a Node that reports no glibc is told of the package for musl', (t) => {
  const before = 'process.report.getReport = () => ({ header: {}, sharedObjects: [] });'
  const message = complaint(t, { before })
  t.true(message.includes(`the package memlane-linux-${cpu}-musl@${version} is not installed`), message)
})

test('a binary that is damaged is told with what the system says of it', (t) => {
  const message = complaint(t, { packages: { [platform]: { binary: Buffer.alloc(4096) } } })
  t.true(message.includes(`memlane-${platform}@${version} is installed and does not load; the system says: `), message)
  t.true(message.includes(`memlane.${platform}.node`), message)
  t.true(message.endsWith('Install it anew: npm ci.'), message)
})

const onGlibc = where(abi === 'gnu', test, 'glibc alone has versions of symbols')

onGlibc('a binary for a newer glibc is told with both versions', (t) => {
  const text = BINARY.toString('latin1')
  const [newest] = [...text.matchAll(/GLIBC_2\.(\d+)(?=\0)/g)].sort((a, b) => Number(b[1]) - Number(a[1])) as [RegExpMatchArray]
  const wanted = newest[0].replace('GLIBC_2', 'GLIBC_9')
  const binary = Buffer.from(text.replaceAll(`${newest[0]}\0`, `${wanted}\0`), 'latin1')
  const message = complaint(t, { packages: { [platform]: { binary } } })
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime: string } }
  t.true(message.includes(`version \`${wanted}' not found`), message)
  t.true(message.endsWith(`It needs glibc ${wanted.slice('GLIBC_'.length)} and this system has ${header.glibcVersionRuntime}: it takes a newer system.`), message)
})

test('Node with --no-addons is told to be started without', (t) => {
  const message = complaint(t, { packages: { [platform]: {} }, nodeOptions: ['--no-addons'] })
  t.true(message.endsWith('Start Node without --no-addons.'), message)
})

test('a platform package of another version is refused, though its binary would load', (t) => {
  const message = complaint(t, { packages: { [platform]: { version: '0.0.1' } } })
  t.true(message.includes(`memlane-${platform} is 0.0.1 and memlane is ${version}: both have to be the same.`), message)
  t.true(message.endsWith(COMMAND), message)
})

test('a platform that has no package is named, with those that have one', (t) => {
  const pretend = (system: string, arch: string): string =>
    `for (const [name, value] of Object.entries({ platform: '${system}', arch: '${arch}' })) Object.defineProperty(process, name, { value });`
  for (const [system, arch] of [['win32', 'x64'], ['freebsd', 'x64'], ['darwin', 'ppc64']] as const) {
    const message = complaint(t, { before: pretend(system, arch) })
    t.regex(message, new RegExp(`there is none for ${system}-${arch}: it runs on Linux \\(glibc and musl\\) and macOS, on x64 and arm64\\.$`))
  }
  for (const arch of ['ia32', 'arm']) {
    const message = complaint(t, { before: pretend('linux', arch) })
    t.regex(message, new RegExp(`there is none for linux-${arch}-\\w+: .*This is a 32-bit Node: a 64-bit machine can run a 64-bit one\\.$`))
  }
})

test('an import that fails can be caught, and then the process goes on', (t) => {
  const before = "import('memlane').then(() => console.log('{}'), ({ name, code, retryable, message }) => console.log(JSON.stringify({ name, code, retryable, message, cause: '', shown: '' }))); if (false)"
  t.regex(complaint(t, { before }), /is not installed/)
})

test('a clone says how its binary is made', (t) => {
  t.regex(complaint(t, { clone: true }), /this is a clone, where `npm run build` makes it\.$/)
})

test('a binary that NAPI_RS_NATIVE_LIBRARY_PATH names is told as such', (t) => {
  const shown = requireFrom(t, { packages: { [platform]: {} }, environment: { NAPI_RS_NATIVE_LIBRARY_PATH: '/no-such-file.node' } })
  t.regex(shown?.message ?? '', /\/no-such-file\.node, which NAPI_RS_NATIVE_LIBRARY_PATH names, does not load; the system says: .*no-such-file/)
  t.regex(shown?.cause ?? '', /^Error: [^\n]*no-such-file\.node[^\n]*$/)
})

test('what NAPI_RS_NATIVE_LIBRARY_PATH names and is no binary of this version is refused when it is loaded', (t) => {
  for (const path of ['/dev/null', 'fs', 'node:fs', join(root, 'package.json')]) {
    const environment = { NAPI_RS_NATIVE_LIBRARY_PATH: path }
    const message = complaint(t, { packages: { [platform]: {} }, environment })
    t.true(message.includes(`${path}, which NAPI_RS_NATIVE_LIBRARY_PATH names, is not the binary of memlane ${version}: it has no `), message)
    t.true(message.endsWith('Without that variable the installed one is taken.'), message)
  }
})

test('a binary that lacks a function is refused, though its package says the right version', (t) => {
  const binary = Buffer.from(BINARY.toString('latin1').replaceAll('writeNotify', 'writeNotifi'), 'latin1')
  const message = complaint(t, { packages: { [platform]: { binary } } })
  t.true(message.includes(`what memlane-${platform}@${version} has is not the binary of memlane ${version}: it has no writeNotify().`), message)
  t.true(message.endsWith('Install it anew: npm ci.'), message)
})

test('a variable that asks for WebAssembly alone is named', (t) => {
  for (const [name, value] of [['NAPI_RS_FORCE_WASI', 'error'], ['NAPI_RS_WASI_FLAVOR', 'wasm32-wasi']] as const) {
    const message = complaint(t, { packages: { [platform]: {} }, environment: { [name]: value } })
    t.true(message.endsWith(`the variable ${name} asks for WebAssembly, and there is no such build. Without that variable the installed one is taken.`), message)
  }
})

test('a platform package whose package.json is broken is told as such', (t) => {
  for (const manifest of ['{ "name": ', '{}', 'null']) {
    const message = complaint(t, { packages: { [platform]: { manifest } } })
    t.true(message.includes(`the package.json of memlane-${platform} is broken: `), message)
    t.true(message.endsWith('Install it anew: npm ci.'), message)
  }
})

test('the platforms that the error knows are those that are built', (t) => {
  const text = readFileSync(join(root, 'dist/src/unloadable.js'), 'utf8')
  const known = JSON.parse((/PLATFORMS = (\[.*?\])/s.exec(text)?.[1] ?? '[]').replaceAll("'", '"')) as string[]
  const built = manifest.napi.targets.map((target) => {
    const [arch, , system, libc] = target.split('-')
    return [system === 'darwin' ? 'darwin' : 'linux', arch === 'x86_64' ? 'x64' : 'arm64', libc].filter(Boolean).join('-')
  })
  t.deepEqual(known.sort(), built.sort())
})
