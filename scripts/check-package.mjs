/**
 * Checks what a user of the published packages would get, on the packed tarballs themselves.
 *
 * usage: node scripts/check-package.mjs        (after npm run build)
 *
 * The platform packages carry the binaries and the main package names them as optional dependencies only when it is published, so
 * neither is complete in the work tree: here both are packed, installed without a network into an empty folder, and used.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import process from 'node:process'
import { root } from './build.mjs'

const LICENSES = ['LICENSE-APACHE', 'LICENSE-MIT']
const CPU = { x86_64: 'x64', aarch64: 'arm64' }
/** What a platform package may have, packed: more would be felt by everybody who installs it. */
const MOST_PACKED_BYTES = 2.5e6
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare']

const problems = []

function expect(holds, problem) {
  if (!holds) problems.push(problem)
}

function same(actual, expected, what) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  expect(a === b, `${what} is ${a}, should be ${b}`)
}

const readJson = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'))

/** What a Rust target triple means to npm: the folder's name and the fields that decide where npm installs the package. */
function platformOf(triple) {
  const [arch, , system, abi] = triple.split('-')
  const os = system === 'darwin' ? 'darwin' : 'linux'
  const name = [os, CPU[arch], abi].filter(Boolean).join('-')
  return { name, os: [os], cpu: [CPU[arch]], libc: abi && [abi === 'gnu' ? 'glibc' : abi] }
}

function checkManifest(path, manifest, main) {
  for (const script of INSTALL_SCRIPTS) expect(!manifest.scripts?.[script], `${path} runs a script on install: ${script}`)
  for (const kind of ['dependencies', 'optionalDependencies', 'bundleDependencies']) {
    same(Object.keys(manifest[kind] ?? {}), [], `${kind} of ${path}`)
  }
  for (const peer of Object.keys(manifest.peerDependencies ?? {})) {
    expect(manifest.peerDependenciesMeta?.[peer]?.optional === true, `${path} makes everybody install ${peer}`)
  }
  for (const field of ['version', 'license', 'engines', 'author']) same(manifest[field], main[field], `${field} of ${path}`)
}

function checkManifests(main) {
  const [, version] = /^\[workspace\.package\]\n(?:[^[].*\n)*?version = "([^"]+)"/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8')) ?? []
  same(version, main.version, 'version of Cargo.toml')
  same(readJson('package-lock.json').version, main.version, 'version of package-lock.json')
  expect(!readFileSync(join(root, 'package-lock.json'), 'utf8').includes('"resolved": "http'), 'package-lock.json names a registry')
  checkManifest('package.json', main, main)

  const platforms = main.napi.targets.map(platformOf)
  same(readdirSync(join(root, 'npm')).sort(), platforms.map(({ name }) => name).sort(), 'the folders of npm/')
  for (const { name, os, cpu, libc } of platforms) {
    const path = `npm/${name}/package.json`
    if (!existsSync(join(root, path))) continue
    const manifest = readJson(path)
    const binary = `${main.napi.binaryName}.${name}.node`
    checkManifest(path, manifest, main)
    same(manifest.name, `${main.name}-${name}`, `name of ${path}`)
    same([manifest.os, manifest.cpu, manifest.libc], [os, cpu, libc], `os, cpu and libc of ${path}`)
    same([manifest.main, manifest.files], [binary, [binary, ...LICENSES]], `main and files of ${path}`)
  }
  const union = (field) => [...new Set(platforms.flatMap((platform) => platform[field]))].sort()
  for (const field of ['os', 'cpu']) same([...main[field]].sort(), union(field), `${field} of package.json`)
  return platforms
}

function run(program, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' })
  expect(status === 0, `${program} ${args.join(' ')} failed: ${error?.message ?? ''}${stdout}${stderr}`)
  return status === 0 ? stdout : null
}

/** Packs a folder; returns the tarball's path and the names in it. */
function pack(folder, destination) {
  const output = run('npm', ['pack', '--json', '--pack-destination', destination], folder)
  if (output === null) return null
  const [packed] = Object.values(JSON.parse(output))
  return { size: packed.size, tarball: join(destination, packed.filename), files: packed.files.map(({ path }) => path).sort() }
}

const filesIn = (folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))

function checkMainContent(files) {
  // What the README links to comes with it: who installed the package has the error table and the pictures at hand.
  const documents = ['CHANGELOG.md', 'CONTRIBUTING.md', 'README.md', 'SECURITY.md', ...filesIn('docs')]
  const fixed = [...documents, ...LICENSES, 'native.d.ts', 'native.js', 'package.json']
  const outside = files.filter((file) => !file.startsWith('dist/'))
  same(outside, fixed.sort(), 'the main package outside dist/')
  for (const entry of ['index', 'redis']) {
    for (const kind of ['js', 'd.ts', 'mjs', 'd.mts']) expect(files.includes(`dist/${entry}.${kind}`), `dist/${entry}.${kind} is not packed`)
  }
  const foreign = files.filter((file) => file.startsWith('dist/') && !/^dist\/((index|redis)\.(js|mjs|d\.ts|d\.mts)|cli\.(js|d\.ts)|src\/[\w/-]+\.(js|d\.ts))$/.test(file))
  same(foreign, [], 'what else is packed from dist/')
}

/** The platform package of the binary that was built here, as its release would pack it. */
function packPlatform(platforms, main, folder) {
  const built = platforms.find(({ name, os, cpu }) => {
    const here = os[0] === process.platform && cpu[0] === process.arch
    return here && existsSync(join(root, `${main.napi.binaryName}.${name}.node`))
  })
  expect(built, 'no binary for this machine: run `npm run build` first')
  if (!built) return null
  const stage = join(folder, 'platform')
  const binary = `${main.napi.binaryName}.${built.name}.node`
  cpSync(join(root, 'npm', built.name), stage, { recursive: true })
  for (const file of [binary, ...LICENSES]) copyFileSync(join(root, file), join(stage, file))
  const packed = pack(stage, folder)
  if (packed) expect(packed.size <= MOST_PACKED_BYTES, `${main.name}-${built.name} has ${packed.size} bytes packed, should have at most ${MOST_PACKED_BYTES}`)
  if (packed) same(packed.files, [...LICENSES, 'README.md', binary, 'package.json'].sort(), `the content of ${main.name}-${built.name}`)
  return packed
}

/** Programs of a user: each module system, one class between them, and the types as TypeScript finds them from either. */
const USES = {
  'use.mjs': `import { TcpEndpoint } from 'memlane'
const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
await endpoint.close()`,
  'use.cjs': `const { TcpEndpoint } = require('memlane')
const listening = TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
listening.then((endpoint) => endpoint.close())`,
  'both.mjs': `import { createRequire } from 'node:module'
import * as esm from 'memlane'
import * as redis from 'memlane/redis'
const require = createRequire(import.meta.url)
const pairs = [[require('memlane'), esm], [require('memlane/redis'), redis]]
for (const [cjs, esm] of pairs) {
  for (const name of Object.keys(cjs)) if (esm[name] !== cjs[name]) throw new Error(name + ' differs between import and require')
}`,
  'redis.mjs': `import { RedisDirectory } from 'memlane/redis'
const stored = new Map()
const directory = new RedisDirectory({ call: async (command, key) => (command === 'GET' ? (stored.get(key) ?? null) : 'OK') })
if ((await directory.lookup('x')) !== undefined) throw new Error('a name that nobody has was found')`,
}

const TYPED_USE = `import { TcpEndpoint, type Directory } from 'memlane'
import { RedisDirectory } from 'memlane/redis'
export const port: Promise<number> = TcpEndpoint.listen({ host: '127.0.0.1', port: 0 }).then((endpoint) => endpoint.port)
// @ts-expect-error a port is a number: this fails to compile if the package's types resolve to any
void TcpEndpoint.listen({ port: 'any' })
export const directory: Directory = new RedisDirectory({ sendCommand: async (args: string[]) => args.length })
// @ts-expect-error this is no client of Redis
void new RedisDirectory({ query: () => undefined })
`

const TYPED_CONFIG = {
  compilerOptions: {
    target: 'ES2022',
    module: 'Node16',
    strict: true,
    noEmit: true,
    lib: ['ES2022', 'ESNext.Disposable'],
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  },
  files: ['typed.mts', 'typed.cts'],
}

function checkUse(folder, tarballs) {
  const user = join(folder, 'user')
  mkdirSync(user)
  writeFileSync(join(user, 'package.json'), '{ "private": true }\n')
  if (run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...tarballs], user) === null) return
  for (const [file, text] of Object.entries(USES)) {
    writeFileSync(join(user, file), `${text}\n`)
    run(process.execPath, [file], user)
  }
  for (const file of ['typed.mts', 'typed.cts']) writeFileSync(join(user, file), TYPED_USE)
  writeFileSync(join(user, 'tsconfig.json'), JSON.stringify(TYPED_CONFIG))
  run(process.execPath, [join(root, 'node_modules/.bin/tsc'), '-p', '.'], user)
}

const folder = mkdtempSync(join(tmpdir(), 'memlane-package-'))
try {
  const main = readJson('package.json')
  const platforms = checkManifests(main)
  const packedMain = pack(root, folder)
  const packedPlatform = packPlatform(platforms, main, folder)
  if (packedMain && packedPlatform) {
    checkMainContent(packedMain.files)
    run(process.execPath, [join(root, 'node_modules/.bin/publint'), 'run', '--strict', packedMain.tarball], root)
    checkUse(folder, [packedMain.tarball, packedPlatform.tarball])
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

for (const problem of problems) console.error(`package: ${problem}`)
if (problems.length > 0) process.exitCode = 1
else console.log('package: manifests agree, tarballs hold what they should, import, require and types work from an empty folder')
