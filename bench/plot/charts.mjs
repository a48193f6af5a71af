/**
 * Which pictures there are. Each is made of the rows of a run by itself: `{ file, title, alt, svg }`, or `{ file, title, missing }`
 * with the reason where a row that it needs is not there.
 */
import { idleBusy, latency } from './percentiles.mjs'
import { GROWTHS, depth, growth, road, throughput } from './series.mjs'

export function charts(results) {
  return [
    ...idleBusy(results),
    ...['read', 'write'].map((op) => throughput(results, op)),
    ...['64B', '64KiB', '1MiB'].map((size) => latency(results, size)),
    depth(results),
    ...GROWTHS.map((what) => growth(results, what)),
    ...['read', 'write'].map((op) => road(results, op)),
  ]
}
