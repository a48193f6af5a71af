/** Blocks of code in Markdown, and what the comment in front of each says about it. */

const OPENING = /^([ \t]*)(`{3,}|~{3,})[ \t]*([^\s`]*)[ \t]*([^`]*)$/
const DIRECTIVE = /^[ \t]*<!-- example:(.*?)-->[ \t]*$/
const WORDS = ['continues', 'serves', 'stops', 'compiled', 'prints', 'runs']

export class BlockError extends Error {}

/**
 * The blocks of a document: `line` is that of the first line of `code`, `language` the fence's word.
 *
 * A comment `<!-- example: … -->` on a line of its own before the fence has words with commas between them: `continues`, `serves`,
 * `stops`, `compiled`, `prints`, `runs`, `file NAME`, a reason in brackets, and names of fixtures or of what memlane exports.
 */
export function blocksOf(path, text) {
  const lines = text.split('\n')
  const blocks = []
  let directive
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index]
    const opening = OPENING.exec(line)
    if (opening !== null) {
      const [, indent, fence, language, rest] = opening
      const end = lines.findIndex((other, at) => at > index && new RegExp(`^[ \\t]*${fence}+[ \\t]*$`).test(other))
      if (end < 0) throw new BlockError(`${path}:${index + 1}: the block is never closed`)
      const code = lines.slice(index + 1, end).map((other) => (other.startsWith(indent) ? other.slice(indent.length) : other.trimStart()))
      blocks.push({ path, line: index + 2, language: language.toLowerCase(), rest, code: `${code.join('\n')}\n`, ...parsed(path, index, directive) })
      directive = undefined
      index = end
      continue
    }
    const comment = DIRECTIVE.exec(line)
    if (comment !== null) directive = comment[1]
    else if (line.trim() !== '' && directive !== undefined) throw new BlockError(`${path}:${index + 1}: a block of code belongs behind the comment 'example:${directive}'`)
  }
  return blocks
}

function parsed(path, line, directive = '') {
  const result = { words: new Set(), names: [], file: undefined }
  const parts = directive
    .replaceAll(/\([^)]*\)/g, '')
    .split(',')
    .map((part) => part.trim())
  for (const part of parts.filter((word) => word !== '')) {
    const [, file] = /^file (\S+)$/.exec(part) ?? []
    if (file !== undefined) result.file = file
    else if (WORDS.includes(part)) result.words.add(part)
    else if (/^[\w$]+$/.test(part)) result.names.push(part)
    else throw new BlockError(`${path}:${line}: '${part}' is nothing that can be said of an example`)
  }
  return result
}
