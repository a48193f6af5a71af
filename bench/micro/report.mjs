/** How figures of one operation are written, and how they grow. */

/** A count or nanoseconds, with the digits that mean something. */
export function figure(value) {
  if (value === null) return '–'
  const fractionDigits = value < 100 ? 2 : value < 1000 ? 1 : 0
  return value.toLocaleString('en-US', { minimumFractionDigits: fractionDigits, maximumFractionDigits: fractionDigits })
}

/** Paths that differ by a number in their names alone: how many times the first one each of the others is. */
export function growthLines(values, what) {
  const families = new Map()
  for (const name of values.keys()) {
    const family = name.replace(/\d+(?= regions| deep|$)/, 'N')
    if (family !== name) families.set(family, [...(families.get(family) ?? []), name])
  }
  return [...families].flatMap(([family, [first, ...others]]) => {
    const size = (name) => Number(/(\d+)(?= regions| deep|$)/.exec(name)[1]).toLocaleString('en-US')
    const grown = others.map((name) => `at ${size(name)} ${(values.get(name) / values.get(first)).toFixed(2)} ×`)
    return grown.length === 0 ? [] : [`growth of ${what}, ${family}: ${grown.join(', ')} that at ${size(first)}`]
  })
}
