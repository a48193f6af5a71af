/**
 * Holds every `unsafe` of the repository's Rust to scripts/unsafe.json: which files have any, and how many of each kind.
 *
 * A file that is not in the list, a count that differs either way, and one without a word on why it is sound are faults: exit status 1.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { root } from './build.mjs'

const LIST = 'scripts/unsafe.json'
const UPDATE = 'npm run check:unsafe -- --update'
const USAGE = `npm run check:unsafe -- [options]

  --update   writes ${LIST} anew: for a change that is meant, and goes into the commit that makes it
  --help     this text
`

/** What follows the keyword tells the kind; an attribute is `#[unsafe(no_mangle)]`. */
const KINDS = [
  ['attribute', /^unsafe\s*\(/],
  ['impl', /^unsafe\s+impl\b/],
  ['trait', /^unsafe\s+trait\b/],
  ['extern', /^unsafe\s+extern\s*(?:" *")?\s*\{/],
  ['fn', /^unsafe\s+(?:extern\s*(?:" *")?\s*)?fn\b/],
  ['block', /^unsafe\s*\{/],
]

/** What is no code, in the order in which it has to be looked for. A lifetime is a quote without another one behind it. */
const NO_CODE =
  /\/\/[^\n]*|\/\*|(?:\b[bc]?r(#*)|\b[bc])?"|'(?:[^'\\\n]|\\(?:u\{[^}]*\}|x..|.))'/gu

/** The text with blanks in place of comments and of what is in quotes, so that places stay what they are. */
export function codeOf(text) {
  let code = ''
  let at = 0
  const blank = (from, to) => text.slice(from, to).replace(/[^\n]/g, ' ')
  for (;;) {
    NO_CODE.lastIndex = at
    const found = NO_CODE.exec(text)
    if (found === null) return code + text.slice(at)
    code += text.slice(at, found.index)
    const end = endOf(text, found)
    const [open] = found
    const isString = open.endsWith('"')
    // Quotes stay: `unsafe extern "C" fn`.
    code += isString ? `${open}${blank(found.index + open.length, end - 1 - (found[1]?.length ?? 0))}"${found[1] ?? ''}` : blank(found.index, end)
    at = end
  }
}

function endOf(text, { 0: open, 1: hashes, index }) {
  const inside = index + open.length
  if (open === '/*') return endOfComment(text, inside)
  if (!open.endsWith('"')) return inside
  if (hashes !== undefined) {
    const end = text.indexOf(`"${hashes}`, inside)
    return end < 0 ? text.length : end + 1 + hashes.length
  }
  for (let at = inside; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at + 1
  }
  return text.length
}

/** Comments of Rust nest. */
function endOfComment(text, from) {
  let depth = 1
  const marks = /\/\*|\*\//g
  marks.lastIndex = from
  for (let mark; (mark = marks.exec(text)) !== null; ) {
    depth += mark[0] === '/*' ? 1 : -1
    if (depth === 0) return marks.lastIndex
  }
  return text.length
}

/** Every `unsafe` of a file: its line, its kind, and whether it says why it is sound. */
export function unsafeIn(text) {
  const code = codeOf(text)
  const [lines, codeLines] = [text.split('\n'), code.split('\n')]
  return [...code.matchAll(/\bunsafe\b/g)].map(({ index }) => {
    const line = code.slice(0, index).split('\n').length
    const rest = code.slice(index)
    const kind = KINDS.find(([, pattern]) => pattern.test(rest))?.[0] ?? 'other'
    return { line, kind, isExplained: isExplained(lines, codeLines, line - 1) }
  })
}

/** Whether a comment over the statement, or over the item, says `SAFETY:`, or its documentation has `# Safety`. */
function isExplained(lines, codeLines, at) {
  const says = (line) => /\/\/.*(?:SAFETY: *\S|# Safety\b)/.test(line)
  for (let line = at - 1; line >= 0; line--) {
    if (says(lines[line])) return true
    const isComment = codeLines[line].trim() === '' && lines[line].trim() !== ''
    const isAttribute = /^#\[.*\]$/.test(codeLines[line].trim())
    // The end of another statement, a blank line: what stands before that is about something else.
    if (!isComment && !isAttribute && /(?:^|[;{},])$/.test(codeLines[line].trim())) return false
  }
  return false
}

function sources() {
  const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '-z', '*.rs'], { cwd: root, encoding: 'utf8' })
  if (listed.status !== 0) throw new Error(`git ls-files: ${listed.stderr ?? listed.error}`)
  return [...new Set(listed.stdout.split('\0').filter(Boolean))].sort()
}

function main({ update, help }) {
  if (help) {
    console.log(USAGE)
    return 0
  }
  const faults = []
  const found = {}
  for (const path of sources()) {
    for (const { line, kind, isExplained: says } of unsafeIn(readFileSync(join(root, path), 'utf8'))) {
      found[path] ??= {}
      found[path][kind] = (found[path][kind] ?? 0) + 1
      if (!says) faults.push(`${path}:${line}: an unsafe ${kind} without SAFETY: the check that it rests on`)
    }
  }
  if (update && faults.length === 0) {
    writeFileSync(join(root, LIST), `${JSON.stringify(found, null, 2)}\n`)
    console.log(`${LIST} is written: commit it with what changed the counts, and say why in the message`)
    return 0
  }
  const list = JSON.parse(readFileSync(join(root, LIST), 'utf8'))
  for (const path of new Set([...Object.keys(list), ...Object.keys(found)])) faults.push(...differences(path, list[path], found[path]))
  for (const fault of faults) console.log(fault)
  const all = Object.values(found).flatMap((kinds) => Object.values(kinds))
  const total = all.reduce((sum, count) => sum + count, 0)
  console.log(`${total} unsafe in ${Object.keys(found).length} files of ${sources().length}, ${faults.length} faults`)
  if (faults.length > 0) console.log(`where a count is meant: \`${UPDATE}\`, and commit ${LIST}`)
  return faults.length > 0 ? 1 : 0
}

function differences(path, expected, found) {
  if (expected === undefined) return [`${path}: has unsafe code, and is not in the list of files that may`]
  if (found === undefined) return [`${path}: has no unsafe code any more, and is in the list`]
  return [...new Set([...Object.keys(expected), ...Object.keys(found)])]
    .filter((kind) => expected[kind] !== found[kind])
    .map((kind) => `${path}: ${found[kind] ?? 0} unsafe ${kind}, where the list has ${expected[kind] ?? 0}`)
}

const { values } = parseArgs({ options: { update: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } })
process.exitCode = main(values)
