/** Makes the documentation: `docs/api` out of the doc comments, the site out of all pages; and checks what they show and link to. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { commandLine } from '../bench/support/command-line.mjs'
import { checkFiles } from '../site/check-files.mjs'
import { checkSite } from '../site/check-site.mjs'
import { documents } from '../site/pages.mjs'
import { root } from './build.mjs'

const SITE = join(root, 'site')
const BUILT = join(root, 'build', 'site')
const PATIENCE_MS = 300_000
const USAGE = `npm run docs -- [options]

docs/api anew by typedoc, whose warnings are errors; every block of code in the documents compiled, and run where it can be; the site
by VitePress into build/site; every link and anchor followed, in the repository and in the site. The first run installs VitePress into
site/node_modules.

  --api         docs/api alone
  --serve       the site on this machine, which follows what is edited
  --base PATH   the folder of the host that the site will be served from; default /
  --help        this text
`

const say = (line) => process.stderr.write(`docs: ${line}\n`)

/** A failure that was told already, or is told by its one line. */
class DocsError extends Error {}

function run(what, program, args, options = {}) {
  const { status, signal, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options })
  if (status !== 0) throw new DocsError(`${what} failed (${error?.message ?? signal ?? `exit status ${status}`})`)
}

const node = (what, ...args) => run(what, process.execPath, args)

/** Installs what the lock file of the site names, without any script of those packages, unless it is there. */
function installVitePress() {
  const read = (path) => {
    try {
      return readFileSync(join(SITE, path), 'utf8')
    } catch {
      return undefined
    }
  }
  if (read('node_modules/.memlane-installed') === read('package-lock.json')) return
  say('installing VitePress into site/node_modules')
  const options = ['--ignore-scripts', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']
  run('npm ci in site/', 'npm', ['ci', ...options], { cwd: SITE, timeout: PATIENCE_MS, stdio: ['ignore', 'ignore', 'inherit'] })
  copyFileSync(join(SITE, 'package-lock.json'), join(SITE, 'node_modules/.memlane-installed'))
}

function vitePress(command, base) {
  installVitePress()
  const program = join(SITE, 'node_modules/vitepress/bin/vitepress.js')
  run(`vitepress ${command}`, process.execPath, [program, command, SITE], { env: { ...process.env, MEMLANE_SITE_BASE: base } })
}

function checkLinks(base) {
  const [files, site] = [checkFiles(documents()), checkSite(BUILT, base)]
  const problems = [...files.problems, ...site.problems.map((problem) => `build/site/${problem}`)]
  for (const problem of problems) console.log(`dead link: ${problem}`)
  if (problems.length > 0) throw new DocsError(`${problems.length} dead link${problems.length === 1 ? '' : 's'}`)
  console.log(`docs: ${site.pages} pages in build/site; ${files.links} links of the documents and ${site.links} of the site followed, none dead`)
}

const { api, serve, base, help } = commandLine('docs', {
  api: { type: 'boolean', default: false },
  serve: { type: 'boolean', default: false },
  base: { type: 'string', default: '/' },
  help: { type: 'boolean', default: false },
})
if (!/^\/([\w.-]+\/)*$/.test(base)) {
  say(`--base is a path that begins and ends with a slash, not '${base}'`)
  process.exit(2)
}
try {
  if (help) {
    process.stdout.write(USAGE)
  } else if (serve) {
    vitePress('dev', base)
  } else {
    node('typedoc', 'node_modules/typedoc/bin/typedoc')
    if (!api) {
      node('npm run test:docs', 'suites/docs/run.mjs')
      vitePress('build', base)
      checkLinks(base)
    }
  }
} catch (error) {
  if (!(error instanceof DocsError)) throw error
  say(error.message)
  process.exitCode = 1
}
