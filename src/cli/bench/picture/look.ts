import type { Screen } from '../../screen.js'
import type { Op } from '../result.js'

/** What pictures are drawn for. */
export interface Look {
  columns: number
  ascii: boolean
  styled: Screen['styled']
}

/** A color each, and words beside it: nothing is told by the color alone. */
export const STYLES: Readonly<Record<Op, Parameters<Screen['styled']>[0]>> = { read: 'cyan', write: 'yellow' }

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const

/** A bar of `share` of `width` cells; of what is not nothing something is seen. */
export function bar(share: number, width: number, ascii: boolean): string {
  if (!(share > 0)) return ''
  if (ascii) return '#'.repeat(Math.round(share * width)) || '|'
  const eighths = Math.max(1, Math.round(share * width * 8))
  return '█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]
}

/** The first is for what would not be seen beside the highest. */
const HEIGHTS = { blocks: '·▁▂▃▄▅▆▇█', ascii: '.:-=+*%#@' } as const
const LEAST_SEEN = 1 / 32

/** A cell as high as `share`; of what is not nothing something is seen. */
export function height(share: number, ascii: boolean): string {
  if (!(share > 0)) return ' '
  const heights = ascii ? HEIGHTS.ascii : HEIGHTS.blocks
  if (share < LEAST_SEEN) return heights[0] as string
  return heights[Math.min(heights.length - 1, Math.ceil(share * (heights.length - 1)))] as string
}
