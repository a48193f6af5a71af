/**
 * Packs what is published: the main package, which names its platform packages only here, and a platform package for each binary.
 * The main package names those that are packed with it: npm can make a lock file of no others while they are on no registry.
 *
 * usage: node scripts/pack.mjs [--binaries FOLDER] [--to FOLDER] [--all] [--tag TAG] [--repository URL]
 *
 *   --binaries FOLDER  where the addons lie, at any depth; without it the clone, with the one that `npm run build` has made
 *   --to FOLDER        where the tarballs go; without it build/tarballs, which is emptied first
 *   --all              fail unless there is a binary for every platform: what a release needs
 *   --tag TAG          fail unless this is the tag of the version, and CHANGELOG.md has its day
 *   --repository URL   goes into the manifests: npm compares it with the provenance statement
 *
 * Prints the tarballs, a line each, in the order in which they are to be published: the main package is the last. Fails when the
 * manifests disagree with each other. Needs `dist/`.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SetupError, main, root } from './build.mjs'
import { LICENSES, manifestProblems, platforms, publishedManifest, repositoryOf } from './manifests.mjs'

function npmPack(folder, ...options) {
  const { status, stdout, stderr, error } = spawnSync('npm', ['pack', '--json', '--ignore-scripts', ...options], { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new SetupError(`npm pack failed in ${folder}: ${error?.message ?? stderr}`)
  const [packed] = Object.values(JSON.parse(stdout))
  return packed
}

/** Packs a staged folder: its tarball, the tarball's size, and the files in it. */
function packStage(stage, to) {
  const { name, filename, size, files } = npmPack(stage, '--pack-destination', to)
  return { name, tarball: join(to, filename), size, files: files.map(({ path }) => path).sort() }
}

function writeManifest(stage, manifest) {
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

function stageMain(stage, repository, named) {
  if (!existsSync(join(root, 'dist'))) throw new SetupError('there is no dist/: run `npm run build` first')
  for (const { path } of npmPack(root, '--dry-run').files) cpSync(join(root, path), join(stage, path))
  writeManifest(stage, publishedManifest(repository, named))
}

function stagePlatform(stage, { name, binary }, file, repository) {
  cpSync(join(root, 'npm', name), stage, { recursive: true })
  cpSync(file, join(stage, binary))
  for (const license of LICENSES) cpSync(join(root, license), join(stage, license))
  writeManifest(stage, { ...JSON.parse(readFileSync(join(stage, 'package.json'), 'utf8')), ...repositoryOf(repository) })
}

/** Where the binary of a platform lies in `folder`; the clone is not searched below its root. */
function binaryIn(folder, binary) {
  if (folder === root) return existsSync(join(root, binary)) ? join(root, binary) : null
  const found = readdirSync(folder, { recursive: true }).find((path) => path.split(/[\\/]/).at(-1) === binary)
  return found === undefined ? null : join(folder, found)
}

/**
 * Packs everything that there is a binary for; each with its `name`, `tarball`, `size`, `files`, and of a platform also that.
 * With `released` the main package names every platform, also those that are not packed here: as a release has it.
 */
export function packAll({ to, binaries = root, all = false, released = all, tag, repository }) {
  if (!existsSync(binaries)) throw new SetupError(`there is no folder ${binaries}`)
  const problems = manifestProblems({ tag })
  const wanted = platforms().map((platform) => ({ platform, file: binaryIn(binaries, platform.binary) }))
  const missing = wanted.filter(({ file }) => file === null).map(({ platform }) => platform.binary)
  if (all && missing.length > 0) problems.push(`no ${missing.join(', no ')} in ${binaries}`)
  if (missing.length === wanted.length) problems.push(`no binary in ${binaries}: run \`npm run build\` first`)
  if (problems.length > 0) throw new SetupError(problems.join('; '))
  const folder = mkdtempSync(join(tmpdir(), 'memlane-pack-'))
  const stages = (name) => {
    const stage = join(folder, name)
    mkdirSync(stage)
    return stage
  }
  try {
    mkdirSync(to, { recursive: true })
    const packed = wanted
      .filter(({ file }) => file !== null)
      .map(({ platform, file }) => {
        const stage = stages(platform.name)
        stagePlatform(stage, platform, file, repository)
        return { platform, ...packStage(stage, to) }
      })
    const stage = stages('main')
    stageMain(stage, repository, released ? platforms() : packed.map(({ platform }) => platform))
    return [...packed, packStage(stage, to)]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function commandLine(args) {
  const text = { type: 'string' }
  const options = { binaries: text, to: text, all: { type: 'boolean' }, tag: text, repository: text, help: { type: 'boolean' } }
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    throw new SetupError(`${error.message.split('. ')[0]}; --help lists the options`)
  }
}

const USAGE = /usage: [^]*?(?=\n \*\/)/

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main((args) => {
    const { help, to, binaries, ...options } = commandLine(args)
    const self = fileURLToPath(import.meta.url)
    if (help) return void process.stdout.write(`${USAGE.exec(readFileSync(self, 'utf8'))[0].replaceAll('\n * ', '\n').replaceAll('\n *', '\n')}\n`)
    const folder = to === undefined ? join(root, 'build/tarballs') : resolve(to)
    if (to === undefined) rmSync(folder, { recursive: true, force: true })
    const packed = packAll({ to: folder, ...(binaries && { binaries: resolve(binaries) }), ...options })
    for (const { tarball } of packed) process.stdout.write(`${tarball}\n`)
  })
}
