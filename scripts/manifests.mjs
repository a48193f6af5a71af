/** What is published: the main package, a package with the binary for each platform, and what all their manifests have to say. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './build.mjs'

export const LICENSES = ['LICENSE-APACHE', 'LICENSE-MIT']
const CPU = { x86_64: 'x64', aarch64: 'arm64' }
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare']

const readText = (path) => readFileSync(join(root, path), 'utf8')
const readJson = (path) => JSON.parse(readText(path))

export const mainManifest = () => readJson('package.json')

/** What a Rust target triple means to npm: the folder's name and the fields that decide where npm installs the package. */
function platformOf(target, main) {
  const [arch, , system, abi] = target.split('-')
  const os = system === 'darwin' ? 'darwin' : 'linux'
  const name = [os, CPU[arch], abi].filter(Boolean).join('-')
  const libc = abi && [abi === 'gnu' ? 'glibc' : abi]
  return { target, name, package: `${main.name}-${name}`, binary: `${main.napi.binaryName}.${name}.node`, os: [os], cpu: [CPU[arch]], libc }
}

/** The platforms that have a package, in the order of `napi.targets`. */
export const platforms = (main = mainManifest()) => main.napi.targets.map((target) => platformOf(target, main))

/** The main package's manifest as it is published: with its platform packages, of exactly this version, and nothing of the clone. */
export function publishedManifest(repository, named = platforms()) {
  const main = mainManifest()
  const { private: _private, scripts: _scripts, devDependencies: _development, overrides: _overrides, napi: _napi, ...kept } = main
  const optionalDependencies = Object.fromEntries(named.map((platform) => [platform.package, main.version]))
  return { ...kept, ...repositoryOf(repository), optionalDependencies }
}

/** What a provenance statement is compared with. A clone does not know where it will be published from. */
export const repositoryOf = (url) => (url === undefined ? {} : { repository: { type: 'git', url } })

/** What is wrong with the manifests of a clone, a line each; none when a release of them can be made. */
export function manifestProblems({ tag } = {}) {
  const problems = []
  const same = (actual, expected, what) => {
    const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
    if (a !== b) problems.push(`${what} is ${a}, should be ${b}`)
  }
  const expect = (holds, problem) => {
    if (!holds) problems.push(problem)
  }
  const main = mainManifest()
  const all = platforms(main)

  const [, cargo] = /^\[workspace\.package\]\n(?:[^[].*\n)*?version = "([^"]+)"/m.exec(readText('Cargo.toml')) ?? []
  same(cargo, main.version, 'version of Cargo.toml')
  same(readJson('package-lock.json').version, main.version, 'version of package-lock.json')
  expect(readText('CHANGELOG.md').startsWith(`# ${main.version} `), `CHANGELOG.md does not begin with # ${main.version}`)
  if (tag !== undefined) {
    same(tag, `v${main.version}`, 'the tag')
    const heading = readText('CHANGELOG.md').split('\n', 1)[0]
    expect(/^# \S+ \(\d{4}-\d{2}-\d{2}\)$/.test(heading), `CHANGELOG.md begins with "${heading}", should have the day of the release in brackets`)
  }
  expect(!readText('package-lock.json').includes('"resolved": "http'), 'package-lock.json names a registry')
  // Published is what scripts/pack.mjs makes of it. From the clone itself it would have no platform packages.
  same(main.private, true, 'private of package.json')
  same(main.os ?? main.cpu, undefined, 'os or cpu of package.json')

  const checkManifest = (path, manifest) => {
    for (const script of INSTALL_SCRIPTS) expect(!manifest.scripts?.[script], `${path} runs a script on install: ${script}`)
    for (const kind of ['dependencies', 'optionalDependencies', 'bundleDependencies']) {
      same(Object.keys(manifest[kind] ?? {}), [], `${kind} of ${path}`)
    }
    for (const peer of Object.keys(manifest.peerDependencies ?? {})) {
      expect(manifest.peerDependenciesMeta?.[peer]?.optional === true, `${path} makes everybody install ${peer}`)
    }
    for (const field of ['version', 'license', 'engines', 'author']) same(manifest[field], main[field], `${field} of ${path}`)
  }
  checkManifest('package.json', main)
  same(readdirSync(join(root, 'npm')).sort(), all.map(({ name }) => name).sort(), 'the folders of npm/')
  for (const { name, package: packageName, binary, os, cpu, libc } of all) {
    const path = `npm/${name}/package.json`
    if (!existsSync(join(root, path))) continue
    const manifest = readJson(path)
    checkManifest(path, manifest)
    same(manifest.name, packageName, `name of ${path}`)
    same([manifest.os, manifest.cpu, manifest.libc], [os, cpu, libc], `os, cpu and libc of ${path}`)
    same([manifest.main, manifest.files], [binary, [binary, ...LICENSES]], `main and files of ${path}`)
  }
  return problems
}
