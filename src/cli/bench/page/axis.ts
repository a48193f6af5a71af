import { tickText, ticksBetween } from '../ticks.js'
import { widthOf, type Scale } from './svg.js'

const SPACE = 14

/** Ticks of a logarithmic axis from left to right whose labels have room beside each other: at 1, 2 and 5 of each power of ten, or fewer. */
export function fittingTicks(low: number, high: number, at: Scale): number[] {
  for (const digits of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = ticksBetween(low, high, digits)
    const isRoomy = ticks.every((us, index) => index === 0 || at(us) - at(ticks[index - 1] as number) >= widthOf(tickText(us), 11) + SPACE)
    if (isRoomy && ticks.length > 0) return ticks
  }
  return ticksBetween(low, high, [1]).filter((us) => Math.round(Math.log10(us)) % 3 === 0)
}
