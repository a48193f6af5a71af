/** Pictures of several rows that differ by one number: a size, how many are under way, a count, a delay. */
import { number } from '../support/table.mjs'
import { caption } from './caption.mjs'
import { baseOf, familyOf } from './contenders.mjs'
import { betterOf, bytesText, isThere, medianOf, sizeOf, titleOf } from './figures.mjs'
import { lines } from './lines.mjs'
import { card } from './svg.mjs'

const UP = 'Further up is better'

/** Of what is smaller, one at a time, throughput is latency said otherwise. */
const SMALLEST = 4096

export function throughput(results, op) {
  const steps = results.rows
    .map((row) => ({ row, size: sizeOf(row) }))
    .filter(({ size }) => size?.op === op && size.rest === '' && size.bytes >= SMALLEST)
    .map(({ row, size }) => ({ row, at: size.bytes }))
  return series(results, {
    file: `throughput-${op}.svg`,
    title: `Throughput of ${op}s by size`,
    lead: UP,
    needs: `rows ${op}-SIZE with GB/s, from 4 KiB`,
    steps,
    valueOf: rateOf,
    x: { title: `bytes of one ${op}, one at a time`, text: bytesText },
    y: { title: 'GB/s (logarithmic)', text: String },
  })
}

/** GB/s, by its operations where a row has no other figure. */
function rateOf(contender, bytes) {
  const ops = medianOf(contender, 'ops')
  return medianOf(contender, 'gbps') ?? (ops === null ? null : (ops * bytes) / 1e9)
}

export function depth(results) {
  const steps = results.rows
    .map((row) => ({ row, size: sizeOf(row) }))
    .filter(({ size }) => size?.op === 'read' && size.bytes === 64 && /^\d+$/.test(size.rest))
    .map(({ row, size }) => ({ row, at: Number(size.rest) }))
  return series(results, {
    file: 'depth-64B.svg',
    title: '64 B reads by how many are under way',
    lead: UP,
    needs: 'rows read-64B-COUNT with operations/s',
    steps,
    valueOf: (one) => medianOf(one, 'ops'),
    x: { title: 'reads under way', text: counted },
    y: { title: 'operations/s (logarithmic)', text: short },
  })
}

const GROWTH = {
  peers: { title: 'Small reads with more and more peers', counts: 'peers' },
  'peers-large': { title: 'Large reads with more and more peers', counts: 'peers' },
  regions: { title: 'Small reads with more and more regions', counts: 'regions' },
  lanes: { title: 'Large reads over more and more lanes', counts: 'lanes to a peer' },
}

export const GROWTHS = Object.keys(GROWTH)

/** `growth-peers-64`: by the first figure of the rows, from zero, so that what is flat looks flat. */
export function growth(results, what) {
  const { title, counts } = GROWTH[what]
  const id = new RegExp(`^growth-${what}-(\\d+)$`)
  const steps = results.rows.filter((row) => id.test(row.id)).map((row) => ({ row, at: Number(id.exec(row.id)[1]) }))
  const key = Object.keys(steps.flatMap(({ row }) => row.contenders).find(isThere)?.figures ?? {})[0]
  return series(results, {
    file: `growth-${what}.svg`,
    title,
    lead: key !== undefined && betterOf(key) === 'lower' ? 'Further down is better, flat is best' : `${UP}, flat is best`,
    needs: `rows growth-${what}-COUNT`,
    steps,
    valueOf: (one) => medianOf(one, key),
    x: { title: counts, text: counted },
    y: { title: key === undefined ? '' : titleOf(key), text: short, linear: true },
    height: 300,
  })
}

export function road(results, op) {
  const id = new RegExp(`^road-(\\d+)ms-${op}$`)
  return series(results, {
    file: `road-${op}.svg`,
    title: `64 MiB ${op}s over long roads`,
    lead: `${UP}. The road between the two processes has the round trip that is named below`,
    needs: `rows road-DELAY-${op}`,
    steps: results.rows.filter((row) => id.test(row.id)).map((row) => ({ row, at: Number(id.exec(row.id)[1]) })),
    valueOf: (one) => medianOf(one, 'gbps'),
    x: { title: 'round trip', text: (value) => `${value} ms` },
    y: { title: 'GB/s (logarithmic)', text: String },
  })
}

const counted = (value) => value.toLocaleString('en-US')

/** Thousands and millions for an axis: 200 k, 1 M. */
function short(value) {
  if (value >= 1e6) return `${value / 1e6} M`
  return value >= 1e4 ? `${value / 1e3} k` : String(value)
}

/** A curve for each contender over `steps`, which are `{ row, at }`; two of them make a picture. */
function series(results, { file, title, lead, needs, steps, valueOf, x, y, height }) {
  const used = steps
    .filter(({ row, at }) => row.contenders.some((one) => valueOf(one, at) !== null))
    .sort((one, other) => one.at - other.at)
  if (new Set(used.map(({ at }) => at)).size < 2) return { file, title, missing: `it needs two or more ${needs}` }
  const rows = used.map(({ row }) => row)
  const curves = curvesOf(used, valueOf)
  const unlike = curves.some(({ dash }) => dash === 'dots')
  const note = unlike ? ' Dotted: complete otherwise than the rest, as the rows say.' : ''
  const last = ({ name, points }) => `${name} ${number(points.at(-1)[1])} at ${x.text(points.at(-1)[0])}`
  return {
    file,
    title,
    alt: `${title}, ${y.title}: ${curves.map(last).join('; ')}`,
    svg: card({
      title,
      lead: `${lead}; behind each name is the figure at the right end of its curve.${note}`,
      draw: lines({ curves, x: { ...x, stops: [...new Set(used.map(({ at }) => at))] }, y, height }),
      caption: caption(results, rows, curves.map(({ id }) => id)),
    }),
  }
}

/** Variants are dashed, and what completes otherwise is dotted. */
function curvesOf(steps, valueOf) {
  const curves = new Map()
  for (const { row, at } of steps) {
    for (const one of row.contenders) {
      const value = valueOf(one, at)
      if (value === null || value <= 0) continue
      const dash = one.completion ? 'dots' : baseOf(one.id) === one.id ? undefined : 'dash'
      const curve = curves.get(one.id) ?? { id: one.id, name: one.name, family: familyOf(one), dash, points: [] }
      curves.set(one.id, { ...curve, points: [...curve.points, [at, value]] })
    }
  }
  // A variant that was measured once would be a mark among the ends of all curves.
  return [...curves.values()].filter(({ id, points }) => points.length > 1 || baseOf(id) === id)
}
