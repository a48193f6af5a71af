/** Markdown of generated parts. */
import { number } from '../support/table.mjs'

/** Lines of a table; `left` columns are text, the others figures. */
export function table(head, rows, { left = 1 } = {}) {
  const line = (cells) => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')
  const rule = head.map((_, column) => (column < left ? '---' : '---:'))
  return [line(head), `|${rule.join('|')}|`, ...rows.map((cells) => line(cells.map((cell) => String(cell).replaceAll('|', '\\|'))))]
}

/** A space at which no line ends. */
export const NBSP = '\u00a0'

export const times = (value) => `${number(value)}${NBSP}×`

/** How many times better a contender is than memlane, and what takes from that. */
export function howMuch({ times: ofMemlane, byRounds, byMedian, overlap }) {
  const half = byRounds ? (byMedian ? [] : ['by its rounds alone']) : ['by its median alone']
  return [times(1 / ofMemlane), ...half, ...(overlap ? ['ranges overlap'] : [])]
}

/** Where GitHub puts the heading of a row. */
export const anchor = (id) => `#${id.toLowerCase().replaceAll(/[^\w-]/g, '')}`

export const rowLink = (id, page = '') => `[\`${id}\`](${page}${anchor(id)})`

const LINE = 130

/** A text in lines as long as those that are written by hand. */
export function paragraph(text) {
  const lines = ['']
  for (const word of text.split(' ')) {
    const longer = lines.at(-1) === '' ? word : `${lines.at(-1)} ${word}`
    if (lines.at(-1) !== '' && longer.length > LINE) lines.push(word)
    else lines[lines.length - 1] = longer
  }
  return lines
}
