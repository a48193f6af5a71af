/** The tarballs under test, and what is in them. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { join, relative } from 'node:path'
import { SetupError, root } from '../../scripts/build.mjs'
import { LICENSES, mainManifest, platforms } from '../../scripts/manifests.mjs'
import { packAll } from '../../scripts/pack.mjs'
import { expect, same } from './expect.mjs'

/** What a platform package may have, packed: more would be felt by everybody who installs it. */
const MOST_PACKED_BYTES = 2.5e6
const BLOCK = 512

/** The files of a tarball by their paths in the package. npm writes no other kinds of entries. */
function untar(tarball) {
  const bytes = gunzipSync(readFileSync(tarball))
  const files = new Map()
  for (let at = 0; at + BLOCK <= bytes.length && bytes[at] !== 0; ) {
    const text = (from, length) => bytes.toString('latin1', at + from, at + from + length).split('\0', 1)[0]
    const size = Number.parseInt(text(124, 12), 8)
    const path = [text(345, 155), text(0, 100)].filter(Boolean).join('/')
    files.set(path.replace(/^package\//, ''), bytes.subarray(at + BLOCK, at + BLOCK + size))
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
  return files
}

function opened(tarball) {
  const files = untar(tarball)
  const manifest = JSON.parse(files.get('package.json').toString())
  return { tarball, files, manifest, size: readFileSync(tarball).length }
}

/** The `main` package, and the `platforms` packages that there are, one of which is for this machine. Packs them if no `folder` has them. */
export function tarballs({ folder, binaries, into }) {
  if (folder !== undefined && !existsSync(folder)) throw new SetupError(`there is no folder ${folder}`)
  const paths =
    folder === undefined
      ? packAll({ to: into, released: true, ...(binaries && { binaries }) }).map(({ tarball }) => tarball)
      : readdirSync(folder, { recursive: true }).filter((path) => path.endsWith('.tgz')).map((path) => join(folder, path))
  const all = paths.map(opened)
  const main = all.find(({ manifest }) => manifest.name === mainManifest().name)
  if (main === undefined) throw new SetupError(`no tarball of memlane in ${folder}`)
  const others = platforms().flatMap((platform) => {
    const packed = all.find(({ manifest }) => manifest.name === platform.package)
    return packed ? [{ ...packed, platform }] : []
  })
  const here = others.find(({ platform }) => platform.os[0] === process.platform && platform.cpu[0] === process.arch && fits(platform))
  if (here === undefined) throw new SetupError('no platform package for this machine among them')
  return { main, platforms: others, here }
}

const glibc = () => process.report.getReport().header.glibcVersionRuntime
const fits = ({ libc }) => libc === undefined || libc[0] === (glibc() === undefined ? 'musl' : 'glibc')

const filesBelow = (folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))

const ENTRIES = ['index', 'redis']
const DIST = /^dist\/((index|redis)\.(js|mjs|load\.js|d\.ts|d\.mts)|cli\.(js|d\.ts)|src\/[\w/-]+\.(js|d\.ts))$/

/** What the main package holds: all of it, and nothing else. */
export function checkMain({ files, manifest, size }) {
  const paths = [...files.keys()]
  // What the README links to comes with it: who installed the package has the error table and the pictures at hand.
  const documents = ['CHANGELOG.md', 'CONTRIBUTING.md', 'README.md', 'SECURITY.md', ...filesBelow('docs')]
  const outside = paths.filter((path) => !path.startsWith('dist/'))
  same(outside.sort(), [...documents, ...LICENSES, 'native.d.ts', 'native.js', 'package.json'].sort(), 'the main package outside dist/')
  for (const entry of ENTRIES) {
    for (const kind of ['js', 'd.ts', 'mjs', 'd.mts', 'load.js']) expect(files.has(`dist/${entry}.${kind}`), `dist/${entry}.${kind} is not packed`)
  }
  same(paths.filter((path) => path.startsWith('dist/') && !DIST.test(path)), [], 'what else is packed from dist/')
  const wanted = Object.fromEntries(platforms().map((platform) => [platform.package, manifest.version]))
  same(manifest.optionalDependencies, wanted, 'optionalDependencies as published')
  for (const field of ['private', 'scripts', 'dependencies', 'devDependencies', 'os', 'cpu']) same(manifest[field], undefined, `${field} as published`)
  return `${paths.length} files, ${size} bytes packed, no scripts, no dependencies but the ${platforms().length} platform packages`
}

/** What a platform package holds, and that it is small. */
export function checkPlatform({ files, manifest, size, platform }) {
  same([...files.keys()].sort(), [...LICENSES, 'README.md', platform.binary, 'package.json'].sort(), `the content of ${platform.package}`)
  same(manifest.scripts, undefined, `scripts of ${platform.package}`)
  expect(size <= MOST_PACKED_BYTES, `${platform.package} has ${size} bytes packed, should have at most ${MOST_PACKED_BYTES}`)
  return `${platform.package} ${size} bytes packed`
}

const asNumber = (version) => version.split('.').reduce((sum, part, at) => sum + Number(part) * 1000 ** (2 - at), 0)

/** The newest glibc that a binary's symbols ask for; null where it is linked with another C library. */
export function glibcNeeded({ files, platform }) {
  if (platform.libc?.[0] !== 'glibc') return null
  const names = files.get(platform.binary).toString('latin1').matchAll(/\0GLIBC_(\d+(?:\.\d+)+)(?=\0)/g)
  const versions = [...new Set([...names].map(([, version]) => version))]
  expect(versions.length > 0, `${platform.binary} names no version of glibc`)
  return versions.reduce((newest, version) => (asNumber(version) > asNumber(newest) ? version : newest))
}

/** Tells what the binaries need of glibc; with `most` fails when that is newer. */
export function checkGlibc(all, most) {
  const needs = all.flatMap((one) => {
    const needed = glibcNeeded(one)
    if (needed === null) return []
    expect(most === undefined || asNumber(needed) <= asNumber(most), `${one.platform.binary} needs glibc ${needed}, should run on ${most}`)
    return [`${one.platform.name} needs ${needed}`]
  })
  const goal = most === undefined ? 'as built here; a release is built for 2.17 (npm run build:portable)' : `at most ${most} is allowed`
  return needs.length === 0 ? 'no binary for glibc among them' : `${needs.join(', ')}: ${goal}`
}

