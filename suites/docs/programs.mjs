/** Blocks of JavaScript and TypeScript as the files that they are compiled and run as. */
import { createServer } from 'node:net'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as memlane from 'memlane'
import { BlockError } from './blocks.mjs'
import * as fixtures from './fixtures.mjs'

/** Below the package, so that an example imports `memlane` by its name and gets what was built. */
const FOLDER = fileURLToPath(new URL('../../build/docs/', import.meta.url))
const FIXTURES = '../../../suites/docs/fixtures.mjs'

/** Files that examples may read, with their lengths. */
const FILES = { 'bias.bin': 128 + 4 * 4096, 'train.bin': 1 << 20 }

const EXTENSIONS = { js: 'js', javascript: 'js', mjs: 'mjs', cjs: 'cjs', ts: 'ts', typescript: 'ts', mts: 'mts', cts: 'cts' }

export const isProgram = ({ language }) => Object.hasOwn(EXTENSIONS, language)

/** The folder of a page's examples, empty. */
export function folderOf(page) {
  const folder = join(FOLDER, page.replaceAll(/[^\w.-]/g, '_'))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [file, length] of Object.entries(FILES)) writeFileSync(join(folder, file), Buffer.alloc(length))
  return folder
}

/** Whether the text is an ES module; what neither imports nor exports nor awaits at its top may be required as well. */
const isModule = (code) => !/\brequire\(/.test(code) || /^\s*(import|export)\b(?!\()/m.test(code)

/**
 * The program of a block: written into the page's folder, with `origin` to find a line of it in the document. `before` is the
 * program that it goes on from.
 */
export async function programOf(block, folder, number, before, local) {
  const continues = block.words.has('continues')
  if (continues && before === undefined) throw new BlockError(`${block.path}:${block.line}: there is no example before this one that it could continue`)
  const parts = [...(continues ? before.parts : []), block]
  const code = parts.map((part) => part.code).join('')
  const kind = EXTENSIONS[block.language]
  const extension = kind === 'js' || kind === 'ts' ? `${isModule(code) ? 'm' : 'c'}${kind}` : kind
  const names = [...new Set(parts.flatMap((part) => part.names))]
  const prelude = preludeOf(block, names, extension)
  const file = join(folder, block.file ?? `example-${number}.${extension}`)
  writeFileSync(file, `${prelude}${await local(code)}`)
  return { block, parts, names, file, origin: (line) => originOf(parts, line) }
}

/** One line in front of the first of the block, so that lines keep their numbers but for it. */
function preludeOf({ path, line }, names, extension) {
  if (names.length === 0) return '\n'
  if (!extension.startsWith('m')) throw new BlockError(`${path}:${line}: an example with fixtures is a module: it has no require()`)
  const made = names.filter((name) => Object.hasOwn(fixtures, name))
  const others = names.filter((name) => !made.includes(name))
  const types = extension === 'mts'
  const unknown = others.find((name) => !Object.hasOwn(memlane, name) && !types)
  if (unknown !== undefined) throw new BlockError(`${path}:${line}: '${unknown}' is neither in suites/docs/fixtures.mjs nor exported by memlane`)
  const from = (list, module) => (list.length === 0 ? '' : `import { ${list.join(', ')} } from '${module}'; `)
  return `${from(made, FIXTURES)}${from(others.map((name) => (Object.hasOwn(memlane, name) ? name : `type ${name}`)), 'memlane')}\n`
}

/** Line of the document that line `line` of a program (both from 1) is, the prelude being the first line. */
function originOf(parts, line) {
  let left = Math.max(line - 2, 0)
  for (const part of parts) {
    const lines = part.code.split('\n').length - 1
    if (left < lines || part === parts.at(-1)) return part.line + left
    left -= lines
  }
  return parts.at(-1).line
}

/** What makes a page's texts fit this machine: ports that are free in place of those that they name, loopback in place of other hosts. */
export function localizer() {
  const ports = new Map()
  const port = async (named) => {
    if (!ports.has(named)) ports.set(named, await freePort())
    return ports.get(named)
  }
  return async (text) => {
    for (const named of new Set(text.match(/\b(74\d\d|9464)\b/g))) text = text.replaceAll(new RegExp(`\\b${named}\\b`, 'g'), String(await port(named)))
    return text.replaceAll(/\b10\.0\.0\.\d+\b/g, '127.0.0.1')
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}
