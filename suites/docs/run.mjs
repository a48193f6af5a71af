/** `npm run test:docs`: every block of code in the documents is compiled, run, parsed or looked up, as far as it can be. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { commandLine } from '../../bench/support/command-line.mjs'
import { documents, root } from '../../site/pages.mjs'
import { BlockError, blocksOf } from './blocks.mjs'
import { commandsOf, wrongCommand } from './commands.mjs'
import { compile, runnable } from './compile.mjs'
import { difference, execute, serve } from './execute.mjs'
import { folderOf, isProgram, localizer, programOf } from './programs.mjs'

const HELP = `npm run test:docs -- [options]

  --only FILES   these documents alone, as docs/tensors.md,README.md
  --help         this text

JavaScript and TypeScript in the documents is compiled against the types of the package and run on loopback; commands are looked up,
JSON and Python are parsed. What an example takes as given, and how it is to be run, is said by a comment before it; suites/docs/README.md
says how. A line per document. Exit code 0: all is well. 1: an example fails. 2: wrong options.
`

/** Two documents at a time: examples wait for each other more than they compute. */
const AT_ONCE = 2
const SHELL = ['sh', 'bash', 'shell', 'console']
/** Languages of blocks that are there to be read. */
const SHOWN = ['', 'text', 'txt', 'hex', 'yaml', 'yml', 'diff', 'promql', 'ini', 'rust', 'dockerfile']

const { only, help } = commandLine('test:docs', { only: { type: 'string' }, help: { type: 'boolean', default: false } })
if (help) process.stdout.write(HELP)
else await begin()

async function begin() {
  const paths = only?.split(',') ?? documents()
  const absent = paths.find((path) => !existsSync(join(root, path)))
  if (absent !== undefined) {
    console.error(`test:docs: there is no ${absent}; --only takes paths of documents in the repository`)
    process.exit(2)
  }
  const pages = await Promise.all(paths.map(prepared))
  for (const problem of compile(pages.flatMap(({ programs }) => [...programs.values()]))) told(pages, problem)
  const waiting = [...pages]
  const workers = Array.from({ length: AT_ONCE }, async () => {
    for (let page = waiting.shift(); page !== undefined; page = waiting.shift()) await tried(page)
  })
  await Promise.all(workers)
  const sum = (key) => pages.reduce((total, page) => total + page[key], 0)
  const failed = pages.reduce((total, { problems }) => total + problems.length, 0)
  const counts = `${sum('compiled')} programs compiled, ${sum('ran')} of them run; ${sum('commands')} commands looked up, ${sum('parsed')} texts parsed, ${sum('compared')} outputs compared`
  console.log(failed === 0 ? `test:docs: ${counts}; all is well` : `test:docs: ${counts}; ${failed} FAILED`)
  if (failed > 0) process.exitCode = 1
  // The fixtures were loaded to know their names: they are endpoints, and have nobody to wait for.
  process.exit()
}

/** A compiler's line belongs to its page; what is of none is every page's. */
function told(pages, problem) {
  const page = pages.find(({ path }) => problem.startsWith(`${path}:`)) ?? pages[0]
  page.problems.push(problem)
}

async function prepared(path) {
  const page = { path, folder: folderOf(path), local: localizer(), blocks: [], programs: new Map(), problems: [], compiled: 0, ran: 0, commands: 0, parsed: 0, compared: 0 }
  const text = readFileSync(join(root, path), 'utf8')
  try {
    page.blocks = blocksOf(path, text)
    let before
    for (const block of page.blocks.filter(isProgram)) {
      before = await programOf(block, page.folder, page.programs.size + 1, before, page.local)
      page.programs.set(block, before)
    }
  } catch (error) {
    if (!(error instanceof BlockError)) throw error
    page.problems.push(error.message)
  }
  page.compiled = page.programs.size
  lookUp(page, text)
  return page
}

/** Commands, in blocks and in the text, and what is only parsed. */
function lookUp(page, text) {
  const files = page.blocks.map(({ file }) => file).filter(Boolean)
  const fail = (line, what) => page.problems.push(`${page.path}:${line}: ${what}`)
  for (const { language, code, line } of page.blocks) {
    if (SHELL.includes(language) || (language === '' && /^(\$ )?(npm|npx) /.test(code))) {
      for (const { words, line: at } of commandsOf(code)) {
        page.commands += 1
        const wrong = wrongCommand(words, files)
        if (wrong !== undefined) fail(line + at, wrong)
      }
    } else if (language === 'json') parsed(page, line, () => JSON.parse(code))
    else if (language === 'python' || language === 'py') parsed(page, line, () => parsePython(code))
    else if (!SHOWN.includes(language) && !isProgram({ language })) fail(line - 1, `nobody knows what to do with a block of '${language}'; suites/docs/run.mjs lists those that are only shown`)
  }
  for (const match of text.matchAll(/`((?:npm run|npx memlane) [^`\n]+)`/g)) {
    page.commands += 1
    const wrong = wrongCommand(match[1].split(' '))
    if (wrong !== undefined) fail(text.slice(0, match.index).split('\n').length, wrong)
  }
}

function parsed(page, line, parse) {
  page.parsed += 1
  try {
    parse()
  } catch (error) {
    page.problems.push(`${page.path}:${line}: ${error.message.split('\n')[0]}`)
  }
}

function parsePython(code) {
  const { status, stderr, error } = spawnSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], { input: code, encoding: 'utf8' })
  if (error === undefined && status !== 0) throw new Error(stderr.trim().split('\n').at(-1))
}

/** Runs what of the page is to be run, in its order and in its folder, and prints the page's line. */
async function tried(page) {
  const serving = []
  let out = ''
  if (page.problems.length === 0) {
    for (const block of page.blocks) {
      const result = await ranBlock(page, block, serving, out)
      if (result === undefined) continue
      if (result.failure !== undefined) page.problems.push(`${page.path}:${lineOf(page.programs.get(block), result.error) ?? block.line}: ${result.failure}`)
      out = result.out ?? out
    }
  }
  for (const { stop } of serving) await stop()
  const { path, compiled, ran, commands, problems } = page
  for (const problem of problems) console.log(`FAILED ${problem}`)
  if (problems.length === 0 && compiled + commands > 0) console.log(`ok ${path}: ${compiled} programs, ${ran} run; ${commands} commands`)
}

/** The line of the document that a program's failure points to. */
function lineOf(program, error) {
  const [, line] = (program && error?.split(program.file)[1]?.match(/^:(\d+)/)) ?? []
  return line === undefined ? undefined : program.origin(Number(line))
}

async function ranBlock(page, block, serving, out) {
  const { words } = block
  if (words.has('prints')) {
    page.compared += 1
    return { failure: difference(await page.local(block.code), out) }
  }
  const program = page.programs.get(block)
  if (program === undefined) {
    if (!words.has('runs')) return undefined
    page.ran += 1
    return execute('bash', ['-euc', await page.local(block.code)], page.folder)
  }
  if (words.has('compiled')) return undefined
  page.ran += 1
  const file = runnable(program.file)
  if (words.has('serves')) {
    const started = await serve(process.execPath, [file], page.folder)
    serving.push(started)
    return started
  }
  // What listens for ever has done its part when its last line has run.
  const args = words.has('stops') ? ['--input-type=module', '-e', `await import(${JSON.stringify(`file://${file}`)}); process.exit()`] : [file]
  return execute(process.execPath, args, page.folder)
}
