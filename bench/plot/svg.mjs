/** SVG by hand: elements, text, the card that every picture is drawn on, and its two themes. */
import { FAMILIES } from './contenders.mjs'

export const WIDTH = 880
export const MARGIN = 28

const LIGHT = { card: '#ffffff', edge: '#d1d9e0', ink: '#1f2328', muted: '#59636e', grid: '#e4e8ec' }
const DARK = { card: '#0d1117', edge: '#3d444d', ink: '#f0f6fc', muted: '#9ca6b1', grid: '#262c34' }

const escape = (content) => String(content).replace(/[&<>"]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[one])
const place = (value) => (typeof value === 'number' ? String(Math.round(value * 10) / 10) : escape(value))

export function element(name, attributes, content = null) {
  const list = Object.entries(attributes).filter(([, value]) => value !== undefined)
  const open = `<${name}${list.map(([key, value]) => ` ${key}="${place(value)}"`).join('')}`
  return content === null ? `${open}/>` : `${open}>${content}</${name}>`
}

export function text(x, y, content, { size = 12, anchor, tone = 'ink', bold = false } = {}) {
  const kind = [tone, `t${size}`, bold ? 'bold' : ''].filter(Boolean).join(' ')
  return element('text', { x, y, class: kind, 'text-anchor': anchor }, escape(content))
}

export function line(x1, y1, x2, y2, kind) {
  return element('line', { x1, y1, x2, y2, class: kind })
}

/** A mark of a family (or `plain`, of none), filled, or hollow with the card's colour inside. */
export function mark(x, y, family, { hollow = false, size = 5, shape = FAMILIES[family]?.mark } = {}) {
  const kind = hollow ? `hollow s-${family}` : `f-${family}`
  const path = (points) => element('path', { d: `M${points.map(([dx, dy]) => `${place(x + dx * size)} ${place(y + dy * size)}`).join('L')}Z`, class: kind })
  if (shape === 'square') return path([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]])
  if (shape === 'triangle') return path([[0, -1.15], [1.1, 0.85], [-1.1, 0.85]])
  if (shape === 'diamond') return path([[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]])
  if (shape === 'bar') return path([[-0.3, -1.2], [0.3, -1.2], [0.3, 1.2], [-0.3, 1.2]])
  return element('circle', { cx: x, cy: y, r: size, class: kind })
}

const NARROW = /[ ijl.,:;'|!()[\]]/
const WIDE = /[mwMWµ%@×]/

/** How wide a text of this size may be: the fonts of readers differ, so it is rather too much. */
export function widthOf(content, size) {
  let ems = 0
  for (const letter of content) ems += NARROW.test(letter) ? 0.29 : WIDE.test(letter) ? 0.84 : /[A-Z]/.test(letter) ? 0.69 : 0.54
  return ems * size
}

/** A row of marks with what they mean: `items` are `{ title, family, hollow, shape }`. Returns the parts and where the row ends. */
export function legend(items, x, y) {
  const parts = []
  for (const { title, family = 'plain', ...look } of items) {
    parts.push(mark(x + 6, y, family, look), text(x + 18, y + 4, title, { tone: 'muted' }))
    x += 18 + widthOf(title, 12) + 20
  }
  return { parts, end: x }
}

/** The families that are there, for a legend. */
export function familyItems(there) {
  return Object.entries(FAMILIES)
    .filter(([name]) => there.some(({ family }) => family === name))
    .map(([family, { title }]) => ({ title, family }))
}

/** The words of a text in lines of at most `width`. */
export function wrap(content, size, width) {
  const lines = ['']
  for (const word of content.split(' ')) {
    const longer = lines.at(-1) === '' ? word : `${lines.at(-1)} ${word}`
    if (lines.at(-1) !== '' && widthOf(longer, size) > width) lines.push(word)
    else lines[lines.length - 1] = longer
  }
  return lines
}

/**
 * A whole picture. `draw(top)` gets the first free place below the head and returns `{ parts, bottom }`. The card has a
 * ground of its own: a reader's theme and that of the page around need not be the same.
 */
export function card({ title, lead, caption, draw }) {
  const inner = WIDTH - 2 * MARGIN
  const parts = []
  let y = MARGIN + 14
  const write = (content, step, look) => {
    for (const one of wrap(content, look.size, inner)) {
      parts.push(text(MARGIN, y, one, look))
      y += step
    }
  }
  write(title, 23, { size: 18, bold: true })
  write(lead, 18, { size: 13, tone: 'muted' })
  const drawn = draw(y + 6)
  parts.push(...drawn.parts)
  y = drawn.bottom + 25
  parts.push(line(MARGIN, y - 17, WIDTH - MARGIN, y - 17, 'grid'))
  for (const paragraph of caption) write(paragraph, 16, { size: 11, tone: 'muted' })
  const height = Math.ceil(y + MARGIN - 25)
  const ground = element('rect', { x: 0.5, y: 0.5, width: WIDTH - 1, height: height - 1, rx: 8, class: 'card' })
  const open = { xmlns: 'http://www.w3.org/2000/svg', width: WIDTH, height, viewBox: `0 0 ${WIDTH} ${height}`, role: 'img' }
  const content = [element('title', {}, escape(`${title}. ${lead}`)), element('style', {}, STYLE), ground, ...parts]
  return `${element('svg', open, `\n${content.join('\n')}\n`)}\n`
}

/** Classes and no variables: not everything that shows an SVG knows those. */
function themed(colours, families) {
  const { card: ground, edge, ink, muted, grid } = colours
  return [
    `.card{fill:${ground};stroke:${edge}}.ink{fill:${ink}}.muted{fill:${muted}}.grid{stroke:${grid}}.reference{stroke:${muted}}.f-plain{fill:${muted}}.s-plain{stroke:${muted}}.hollow{fill:${ground}}`,
    ...families.map(([name, colour]) => `.f-${name}{fill:${colour}}.s-${name}{stroke:${colour}}`),
  ].join('')
}

const families = (theme) => Object.entries(FAMILIES).map(([name, family]) => [name, family[theme]])
const FONTS = '-apple-system,BlinkMacSystemFont,"Segoe UI","Noto Sans",Helvetica,Arial,"DejaVu Sans",sans-serif'
const STYLE = [
  '',
  `text{font-family:${FONTS};font-variant-numeric:tabular-nums}`,
  `${[11, 12, 13, 18].map((size) => `.t${size}{font-size:${size}px}`).join('')}.bold{font-weight:600}`,
  '.grid{stroke-width:1}.lead{stroke-width:.8;opacity:.45;fill:none}.reference{stroke-width:1;stroke-dasharray:4 3}.hollow{stroke-width:2}.curve{fill:none;stroke-width:1.8;stroke-linejoin:round}.strong{stroke-width:3.2}.faint{opacity:.28}.dash{stroke-dasharray:6 3.5}.dots{stroke-dasharray:2 3}',
  themed(LIGHT, families('light')),
  `@media(prefers-color-scheme:dark){${themed(DARK, families('dark'))}}`,
  '',
].join('\n')
