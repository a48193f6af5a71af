/** Puts generated parts and figures into hand-written documents, between markers that nobody sees. */
import { medianOf, titleOf } from '../plot/figures.mjs'
import { ResultsError } from '../plot/results.mjs'
import { number } from '../support/table.mjs'
import { beside } from './compare.mjs'
import { NBSP } from './markdown.mjs'

const PART = /<!-- bench:(?!end)([\w-]+) -->\n[^]*?<!-- bench:end -->/g
const FIGURE = /<!-- =(.+?) -->[^]*?<!-- \/ -->/g

/**
 * The document anew. A part stands between `<!-- bench:NAME -->` and `<!-- bench:end -->`, a figure in a sentence between
 * `<!-- =ROW CONTENDER FIGURE -->` and `<!-- / -->`; with `times` for FIGURE's first word it is how many times better memlane is.
 */
export function fill(name, document, parts, results) {
  const unused = new Set(Object.keys(parts))
  const filled = document
    .replaceAll(PART, (_, part) => {
      if (!parts[part]) throw new ResultsError(`${name} has a marker for ${part}, which nothing makes`)
      unused.delete(part)
      return `<!-- bench:${part} -->\n${['', ...parts[part], ''].join('\n')}\n<!-- bench:end -->`
    })
    .replaceAll(FIGURE, (_, wanted) => `<!-- =${wanted} -->${figureOf(name, wanted.trim().split(' '), results)}<!-- / -->`)
  if (unused.size > 0) throw new ResultsError(`${name} has no marker for ${[...unused].join(', ')}`)
  return filled
}

const FORMS = 'ROW CONTENDER FIGURE, or times ROW CONTENDER FIGURE'

function figureOf(name, words, { rows }) {
  const compared = words[0] === 'times'
  const [id, contender, key, ...more] = compared ? words.slice(1) : words
  if (key === undefined || more.length > 0) throw new ResultsError(`${name} asks for "${words.join(' ')}", which is not ${FORMS}`)
  const row = rows.find((one) => one.id === id)
  const one = row?.contenders.find((other) => other.id === contender)
  if (compared) return number(beside(row ?? { contenders: [] }, one, key)?.times ?? Number.NaN)
  const value = medianOf(one, key)
  return value === null ? '(not measured)' : `${number(value)}${NBSP}${unitOf(key)}`
}

/** The unit alone of a figure's title. */
const unitOf = (key) => titleOf(key).replace(/^(p[\d.]+|CPU) /, '')
