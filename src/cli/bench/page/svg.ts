/** SVG by hand: elements, text, and scales from a figure to a place. */

/** What of a text is no mark-up, in content and in attributes. */
export function escaped(content: string): string {
  return content.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`)
}

type Attributes = Readonly<Record<string, string | number | undefined>>

const placed = (value: string | number): string => (typeof value === 'number' ? String(Math.round(value * 10) / 10) : escaped(value))

/** An element around content that is mark-up already. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const list = Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [` ${key}="${placed(value)}"`]))
  return content === '' ? `<${name}${list.join('')}/>` : `<${name}${list.join('')}>${content}</${name}>`
}

export function text(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escaped(content))
}

/** What is shown where a pointer rests on its element. */
export function hover(content: string): string {
  return element('title', {}, escaped(content))
}

export function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  return element('line', { x1, y1, x2, y2, class: kind })
}

/** A picture so wide as it is drawn: its letters stay as large as those around it. */
export function svg(width: number, height: number, label: string, parts: readonly string[]): string {
  return element('svg', { viewBox: `0 0 ${width} ${Math.ceil(height)}`, width, height: Math.ceil(height), role: 'img', 'aria-label': label }, `\n${parts.join('\n')}\n`)
}

export type Scale = (value: number) => number

export function linear(low: number, high: number, from: number, to: number): Scale {
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from)
}

export function logarithmic(low: number, high: number, from: number, to: number): Scale {
  const scale = linear(Math.log(low), Math.log(high), from, to)
  return (value) => scale(Math.log(value))
}

/** How wide a text may be: the fonts of readers differ, so it is rather too much. */
export function widthOf(content: string, size = 12): number {
  return content.length * size * 0.58
}

/** Places as near to the wanted ones as they can be with `gap` between any two, and none below `high`. */
export function spread(wanted: readonly number[], gap: number, high: number): number[] {
  const order = wanted.map((at, index) => ({ at, index })).sort((one, other) => one.at - other.at)
  let next = Number.NEGATIVE_INFINITY
  for (const one of order) next = (one.at = Math.max(one.at, next)) + gap
  let last = high
  for (const one of order.reverse()) last = (one.at = Math.min(one.at, last)) - gap
  const places: number[] = []
  for (const { at, index } of order) places[index] = at
  return places
}
