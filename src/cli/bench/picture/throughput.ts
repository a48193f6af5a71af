import { rateText } from '../../units.js'
import type { Row } from '../result.js'
import { bar, STYLES, type Look } from './look.js'
import { nameOf } from './table.js'

const LEAST_CELLS = 4

/** A bar for each row, as long as its throughput. */
export function throughput(rows: readonly Row[], { columns, ascii, styled }: Look): string[] {
  const rateOf = ({ gbps }: Row): string => rateText(gbps * 1e9)
  const names = Math.max(...rows.map((row) => nameOf(row).length))
  const rates = Math.max(...rows.map((row) => rateOf(row).length))
  const cells = Math.max(LEAST_CELLS, columns - names - rates - 2)
  const most = Math.max(...rows.map(({ gbps }) => gbps))
  return rows.map((row) => `${nameOf(row).padEnd(names)} ${styled(STYLES[row.op], bar(row.gbps / most, cells, ascii))} ${rateOf(row)}`)
}
