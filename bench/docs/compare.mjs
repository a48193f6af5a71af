/** Who is better than memlane, and by how much, in every row and by every figure that is compared. */
import { baseOf, familyOf } from '../plot/contenders.mjs'
import { advantage, betterOf, isThere, medianOf } from '../plot/figures.mjs'

/** Figures of a row in the row's own order; all who are there have the same. */
export function keysOf({ contenders }) {
  return [...new Set(contenders.filter(isThere).flatMap(({ figures }) => Object.keys(figures)))]
}

export const oursOf = ({ contenders }) => contenders.find(({ id }) => id === 'memlane')

/**
 * A contender's figure beside memlane's: `{ key, name, value, times, byRounds, byMedian, overlap, otherwise }`; `times` is how many
 * times better memlane is, and the contender is better `byRounds` where that is below 1, `byMedian` where its figure is. Null where one of both has no such figure, and for memlane's own variants.
 */
export function beside(row, contender, key) {
  const figure = contender?.figures?.[key]
  const times = advantage(key, figure)
  if (times === null || baseOf(contender.id) === 'memlane') return null
  const mine = oursOf(row).figures[key]
  const [value, ours] = [medianOf(contender, key), medianOf(oursOf(row), key)]
  const byMedian = betterOf(key) === 'higher' ? value > ours : value < ours
  const overlap = figure.lowest <= mine.highest && mine.lowest <= figure.highest
  return { key, name: contender.name, value, times, byRounds: times < 1, byMedian, overlap, otherwise: contender.completion !== undefined }
}

/** `{ row, key, ours, by: [beside, …] }` for every row and figure by which somebody beats memlane in either way, the best of them first. */
export function better(rows) {
  return rows.flatMap((row) => {
    return keysOf(row).flatMap((key) => {
      const by = row.contenders.map((one) => beside(row, one, key)).filter((one) => one !== null && (one.byRounds || one.byMedian))
      if (by.length === 0) return []
      return [{ row, key, ours: medianOf(oursOf(row), key), by: by.sort((one, other) => one.times - other.times) }]
    })
  })
}

/** Rows of others that have nothing of memlane's to compare with. */
export function unmeasured(rows) {
  return rows.filter((row) => row.contenders.some(isThere) && !row.contenders.some((one) => baseOf(one.id) === 'memlane' && isThere(one)))
}

/** The best by a figure among those who are neither memlane nor bare sockets nor `except`, and complete as the row says. */
export function bestOther(row, key, except) {
  const sign = betterOf(key) === 'lower' ? 1 : -1
  const candidates = row.contenders.filter((one) => {
    const other = !['memlane', 'machine'].includes(familyOf(one)) && !except.includes(one.id)
    return other && one.completion === undefined && medianOf(one, key) !== null
  })
  return candidates.sort((one, other) => sign * (medianOf(one, key) - medianOf(other, key)))[0]
}
