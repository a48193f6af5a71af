/** Commands that documents tell people to type: that those of this repository exist, and take the options they are given. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { scripts, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const NPM = ['add', 'audit', 'ci', 'exec', 'i', 'init', 'install', 'it', 'pack', 'publish', 'run', 'start', 'test', 'uninstall', 'view']

const helps = new Map()

/** What a program says to `--help`. */
function help(...command) {
  const key = command.join(' ')
  if (!helps.has(key)) {
    const { status, stdout } = spawnSync(process.execPath, [...command, '--help'], { cwd: root, encoding: 'utf8', timeout: 60_000 })
    helps.set(key, status === 0 ? stdout : '')
  }
  return helps.get(key)
}

/** The commands of a shell's text, as words, with the line of each (from 0). Knows as much of a shell as documents use. */
export function commandsOf(code) {
  const lines = code.split('\n')
  return lines.flatMap((text, line) => {
    if (line > 0 && lines[line - 1].endsWith('\\')) return []
    let whole = text
    for (let next = line; whole.endsWith('\\'); ) whole = `${whole.slice(0, -1)} ${lines[(next += 1)] ?? ''}`
    const bare = whole
      .replace(/^\s*\$ /, '')
      .replace(/(^|\s)#.*$/, '')
      .trim()
    return bare
      .split(/&&|\|\||[|;&]/)
      .map((part) => part.trim().split(/\s+/))
      .map((words) => words.slice(words.findIndex((word) => !/^\w+=/.test(word))))
      .filter(([word]) => word !== undefined && word !== '')
      .map((words) => ({ words, line }))
  })
}

/** What is wrong with a command, or undefined. `files` are those that the page's own examples have made. */
export function wrongCommand([program, ...args], files = []) {
  if (program === 'npm') return wrongNpm(args)
  if (program === 'npx') return args[0] === 'memlane' ? wrongMemlane(args.slice(1)) : undefined
  if (program === 'memlane') return wrongMemlane(args)
  if (program === 'node' || program === 'bash') return wrongFile(args, files)
  return undefined
}

function wrongNpm(args) {
  const [verb, name] = args.filter((word) => !word.startsWith('-') || word === '--')
  if (!NPM.includes(verb)) return `npm has no '${verb}'`
  if (verb !== 'run') return undefined
  if (name !== '…' && !Object.hasOwn(scripts, name)) return `package.json has no script '${name}'`
  const given = args.includes('--') ? args.slice(args.indexOf('--') + 1) : []
  const [, file] = /node (?:scripts\/setup\.mjs .*&& node )?(?!scripts\/setup)(\S+\.mjs)[^&]*$/.exec(scripts[name] ?? '') ?? []
  return file === undefined ? undefined : wrongOption(given, `npm run ${name}`, file)
}

function wrongMemlane([command, ...args]) {
  const program = typeof bin === 'string' ? bin : bin?.memlane
  if (command === undefined || /^[-…A-Z]/.test(command)) return undefined
  if (program === undefined) return 'package.json has no command memlane'
  if (!new RegExp(`^\\s+(memlane )?${command}\\b`, 'm').test(help(program))) return `memlane has no command '${command}'`
  return wrongOption(args, `memlane ${command}`, program, command)
}

function wrongOption(given, name, ...command) {
  const before = given.includes('--') ? given.slice(0, given.indexOf('--')) : given
  const options = before.filter((word) => /^--\w/.test(word)).map((word) => word.replace(/=.*/, ''))
  const unknown = options.find((option) => !help(...command).includes(option))
  return unknown === undefined ? undefined : `${name} has no ${unknown}`
}

function wrongFile(args, files) {
  const file = args.find((word) => !word.startsWith('-'))
  if (file === undefined || !/\.(mjs|cjs|js|ts|mts|sh)$|^\.ci\//.test(file) || /^[A-Z]/.test(file)) return undefined
  return files.includes(file) || existsSync(join(root, file)) ? undefined : `there is no ${file}, in the repository or among the examples of the page`
}
