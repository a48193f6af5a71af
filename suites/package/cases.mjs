/** What is asked of the packages. A case gives what it came to, throws what is wrong, or why it was skipped. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/build.mjs'
import { mainManifest, manifestProblems } from '../../scripts/manifests.mjs'
import { PROGRAMS, READS_ERROR, TYPED, TYPESCRIPT } from './consumers.mjs'
import { Skipped, expect, same } from './expect.mjs'
import { checkGlibc, checkMain, checkPlatform } from './tarballs.mjs'
import { importTool, tools } from './tools.mjs'

/** A tool of the clone's own node_modules. */
const local = (name) => join(root, 'node_modules/.bin', name)

function works(user, program, ...args) {
  same(user.succeed(program, ...args), 'works\n', `what ${args.at(-1)} prints`)
}

/** What an import says that has to fail; the case reads it as a user would. */
function importError(user) {
  const said = user.succeed(process.execPath, '-e', READS_ERROR).trim()
  expect(said.startsWith('ERR_NATIVE_BINDING '), `import says "${said}", should fail with ERR_NATIVE_BINDING`)
  return said
}

/** The command that an error of a missing package ends with. */
function remedy(error) {
  const [, command] = /On this machine run: npm ([^()]+) \(/.exec(error) ?? []
  expect(command !== undefined, `the error names no command: ${error}`)
  return command.split(' ')
}

function missing({ packed }, error) {
  const { manifest } = packed.here
  expect(error.includes(`the package ${manifest.name}@${manifest.version} is not installed`), `the error does not name the package: ${error}`)
  return remedy(error)
}

export const CASES = [
  {
    name: 'manifests',
    about: 'versions, platforms and fields of all manifests agree',
    run() {
      const problems = manifestProblems()
      expect(problems.length === 0, problems.join('\n'))
      return `all of version ${mainManifest().version}`
    },
  },
  { name: 'main', about: 'the main package holds all it should and nothing else', run: ({ packed }) => checkMain(packed.main) },
  {
    name: 'platform',
    about: 'a platform package holds its binary, and at most 2.5 MB packed',
    run: ({ packed }) => packed.platforms.map(checkPlatform).join(', '),
  },
  { name: 'glibc', about: 'the oldest glibc that each binary runs on', run: ({ packed, glibc }) => checkGlibc(packed.platforms, glibc) },
  {
    name: 'publint',
    about: 'exports against the packed files',
    run({ packed, empty }) {
      for (const { tarball } of [packed.main, packed.here]) empty.succeed(process.execPath, local('publint'), 'run', '--strict', tarball)
      return 'nothing to say about either package'
    },
  },
  {
    name: 'attw',
    about: 'types as each way of resolving them finds them',
    async run({ packed }) {
      const { checkPackage, createPackageFromTarballData } = await importTool('@arethetypeswrong/core/dist/index.js')
      const { problems, entrypoints } = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(packed.main.tarball))))
      // TypeScript 7 has no `node10` any more, and it never knew `exports`: memlane/redis is out of its reach.
      const told = problems.filter(({ resolutionKind }) => resolutionKind !== 'node10')
      same(told, [], 'problems of types')
      return `${Object.keys(entrypoints).length} entry points from node16 (CommonJS and ESM) and bundler`
    },
  },
  {
    name: 'install',
    about: 'both tarballs into an empty folder, offline, with scripts off',
    run({ packed, consumer }) {
      consumer.succeed('npm', 'install', packed.main.tarball, packed.here.tarball)
      same(consumer.installed(), [packed.main.manifest.name, packed.here.manifest.name].sort(), 'what is installed')
      for (const [file, text] of Object.entries(PROGRAMS)) consumer.write(file, `${text}\n`)
      return consumer.installed().join(', ')
    },
  },
  {
    name: 'modules',
    about: 'import and require work and share one native instance',
    run({ consumer }) {
      for (const file of Object.keys(PROGRAMS)) works(consumer, process.execPath, file)
      return `${Object.keys(PROGRAMS).join(', ')} on Node ${process.versions.node}`
    },
  },
  {
    name: 'types',
    about: 'TypeScript programs compile, and wrong ones do not',
    run({ consumer }) {
      for (const [name, settings] of Object.entries(TYPESCRIPT)) {
        for (const file of settings.files) consumer.write(file, TYPED)
        consumer.write(`tsconfig.${name}.json`, JSON.stringify(settings))
        consumer.succeed(process.execPath, local('tsc'), '-p', `tsconfig.${name}.json`)
      }
      return Object.keys(TYPESCRIPT).join(', ')
    },
  },
  {
    name: 'npx',
    about: 'the command line runs as `npx memlane`',
    run({ packed, consumer }) {
      if (packed.main.manifest.bin === undefined) throw new Skipped('the package has no command line')
      for (const command of [[], ['ping']]) {
        const help = consumer.succeed('npx', '--offline', 'memlane', ...command, '--help')
        expect(/^ *(memlane )?ping /m.test(help) && help.includes('--help'), `${['npx memlane', ...command].join(' ')} --help prints: ${help}`)
      }
      same(consumer.succeed('npx', '--offline', 'memlane', '--version'), `${packed.main.manifest.version}\n`, 'npx memlane --version')
      return '--help, ping --help, --version'
    },
  },
  {
    name: 'unreleased',
    about: 'the tarballs of `npm run tarballs`, installed while nothing is published: `npm ci` works with the lock file',
    run({ home, binaries = root, packed, user }) {
      const to = join(home, 'unreleased-tarballs')
      const lines = user({ name: 'packer' }).succeed(process.execPath, join(root, 'scripts/pack.mjs'), '--to', to, '--binaries', binaries)
      const client = user({ name: 'unreleased' })
      client.succeed('npm', 'install', ...lines.trim().split('\n'))
      client.succeed('npm', 'ci')
      same(client.installed(), [packed.main.manifest.name, packed.here.manifest.name].sort(), 'what is installed by npm ci')
      same(client.succeed(process.execPath, '-e', READS_ERROR), 'works\n', 'the import afterwards')
      return `npm ${client.succeed('npm', '--version').trim()} installs ${client.installed().join(', ')} again`
    },
  },
  {
    name: 'absent',
    about: 'without the platform package the import says what is missing',
    run(context) {
      const { packed, user } = context
      const lonely = user({ name: 'lonely' })
      lonely.succeed('npm', 'install', packed.main.tarball)
      same(lonely.installed(), [packed.main.manifest.name], 'what is installed')
      const command = missing(context, importError(lonely))
      return `the error names ${packed.here.manifest.name} and \`npm ${command.join(' ')}\``
    },
  },
  {
    name: 'registry',
    about: 'published to a registry server, `npm install memlane` gets what fits, and it runs',
    async run({ packed, registry, user }) {
      const { url, built, standIns } = await registry()
      const client = user({ name: 'client', registry: url })
      client.succeed('npm', 'install', 'memlane')
      same(client.installed(), [packed.main.manifest.name, packed.here.manifest.name].sort(), 'what is installed')
      for (const [file, text] of Object.entries(PROGRAMS)) {
        client.write(file, `${text}\n`)
        works(client, process.execPath, file)
      }
      return `${client.installed().join(', ')} out of ${built} built packages and ${standIns} stand-ins for those not built here`
    },
  },
  {
    name: 'omitted',
    about: 'installed with --omit=optional: the command in the error mends it',
    async run(context) {
      const { registry, user } = context
      const client = user({ name: 'omitted', registry: (await registry()).url })
      client.succeed('npm', 'install', '--omit=optional', 'memlane')
      const command = missing(context, importError(client))
      client.succeed('npm', ...command)
      same(client.succeed(process.execPath, '-e', READS_ERROR), 'works\n', 'the import afterwards')
      return `npm ${command.join(' ')}`
    },
  },
  {
    name: 'lock-file',
    about: '`npm ci` with a lock file made on another platform, by the npm of Node 22: the same',
    async run(context) {
      const { registry, user } = context
      const client = user({ name: 'locked', registry: (await registry()).url })
      const npm = [process.execPath, join(await tools(), 'npm-10/bin/npm-cli.js')]
      const elsewhere = process.platform === 'darwin' ? ['--os=linux', '--cpu=x64', '--libc=glibc'] : ['--os=darwin', '--cpu=arm64']
      // npm 10 writes a lock file out of what it finds in node_modules, and that is one platform's.
      client.succeed(...npm, 'install', ...elsewhere, 'memlane')
      rmSync(join(client.folder, 'package-lock.json'))
      client.succeed(...npm, 'install', ...elsewhere)
      const locked = JSON.parse(client.read('package-lock.json')).packages
      expect(!(`node_modules/${context.packed.here.manifest.name}` in locked), 'the lock file has every platform: this case tests nothing')
      client.succeed(...npm, 'ci')
      const command = missing(context, importError(client))
      client.succeed(...npm, ...command)
      same(client.succeed(process.execPath, '-e', READS_ERROR), 'works\n', 'the import afterwards')
      client.succeed(...npm, 'ci')
      same(client.succeed(process.execPath, '-e', READS_ERROR), 'works\n', 'the import after npm ci with the lock file that was mended')
      return `npm ${command.join(' ')}, which mends the lock file too`
    },
  },
]

/** A case for each runtime: what was installed from the tarballs runs there. */
export const RUNTIMES = {
  name: 'runtimes',
  about: 'the same programs on Node 20, 22, 24, 26, Bun and Deno',
  run({ consumer }, { binary, arguments: before }) {
    for (const file of Object.keys(PROGRAMS)) works(consumer, binary, ...before, file)
    return Object.keys(PROGRAMS).join(', ')
  },
}
