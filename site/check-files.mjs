/**
 * Links of the Markdown files as somebody meets them who looks at the repository: each leads to a file or folder that is there, and
 * each anchor to a heading of it. Links out of the repository are looked at for their form alone: nothing is fetched.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './pages.mjs'
import { slugger } from './slug.mjs'
import { isExternal, targetOf } from './targets.mjs'

/** The text with what is no text blanked out, line by line as it was: blocks of code, code in a line, comments. */
function prose(text) {
  const blank = (part) => part.replaceAll(/[^\n]/g, ' ')
  return text
    .replaceAll(/^([ \t]*)(`{3,}|~{3,})[^\n]*\n(?:[\s\S]*?\n)?\1\2[`~]*[ \t]*$/gm, blank)
    .replaceAll(/<!--[\s\S]*?-->/g, blank)
    .replaceAll(/(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g, blank)
}

/** Links of a file: what stands in each, and in which line. */
export function linksOf(text) {
  const found = []
  const patterns = [/\]\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+"[^"]*")?\s*\)/g, /^\[[^\]]+\]:\s*(\S+)/gm, /<(https?:[^>\s]*)>/g, /\s(?:href|src)="([^"]*)"/g]
  const plain = prose(text)
  for (const pattern of patterns) {
    for (const match of plain.matchAll(pattern)) found.push({ href: match[1], line: plain.slice(0, match.index).split('\n').length })
  }
  return found
}

/** What a heading is without its marks: the text that its anchor is made of. */
const headingText = (heading) =>
  heading
    .replace(/\s+#+\s*$/, '')
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/\*\*|\\(?=[!-/:-@[-`{-~])|<[^>]*>|`/g, '')

/** The anchors that a Markdown file has. */
export function anchorsOf(text) {
  const plain = text.replaceAll(/^([ \t]*)(`{3,}|~{3,})[^\n]*\n(?:[\s\S]*?\n)?\1\2[`~]*[ \t]*$/gm, '')
  const anchor = slugger()
  const headings = [...plain.matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading]) => anchor(headingText(heading)))
  return new Set([...headings, ...[...plain.matchAll(/\s(?:id|name)="([^"]+)"/g)].map(([, id]) => id)])
}

function wrongForm(href) {
  if (/^mailto:\S+@\S+$/.test(href)) return undefined
  try {
    const { protocol, hostname } = new URL(href)
    if (protocol !== 'https:' && protocol !== 'http:') return `a link of the kind ${protocol}`
    if (!hostname.includes('.') && hostname !== 'localhost') return `no host: ${hostname}`
  } catch {
    return 'no address'
  }
  return undefined
}

/** What is wrong with the links of these files, a line for each: `file:line: what`. */
export function checkFiles(paths) {
  const texts = new Map()
  const read = (path) => {
    if (!texts.has(path)) texts.set(path, readFileSync(join(root, path), 'utf8'))
    return texts.get(path)
  }
  const anchors = new Map()
  const hasAnchor = (path, hash) => {
    if (!anchors.has(path)) anchors.set(path, anchorsOf(read(path)))
    return anchors.get(path).has(hash)
  }
  let links = 0
  const problems = paths.flatMap((from) =>
    linksOf(read(from)).flatMap(({ href, line }) => {
      links += 1
      const wrong = isExternal(href) ? wrongForm(href) : dead(from, href, hasAnchor)
      return wrong === undefined ? [] : [`${from}:${line}: ${href}: ${wrong}`]
    }),
  )
  return { links, problems }
}

function dead(from, href, hasAnchor) {
  const { path, hash } = targetOf(from, href)
  if (href.startsWith('/')) return 'begins with a slash, which is another place on every host'
  if (path.startsWith('..')) return 'leaves the repository'
  if (!existsSync(join(root, path))) return 'no such file'
  if (hash === undefined || hash === '') return undefined
  const page = path.endsWith('.md') ? path : `${path}/README.md`
  if (!existsSync(join(root, page))) return undefined
  return hasAnchor(page, hash) ? undefined : `no heading #${hash} in ${page}`
}
