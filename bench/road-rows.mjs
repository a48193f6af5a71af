/** The rows of long roads: what a round trip costs one lane, and what more of them bring back. */
const ROADS_MS = [1, 10, 50]

/** Beside memlane's own choice, on one lane: what it has for peers on its own machine, and both ends as large as messages allow. */
const CONTENDERS = ['memlane', 'memlane:2', 'memlane:4', 'memlane:8', 'memlane:512K+1M', 'memlane:4M+4M', 'raw', 'raw:auto', 'node-net']

/** In the quick form: what the goals need, over one road, because each contender is checked anew on each. */
const QUICK = ['memlane', 'memlane:4', 'node-net']
const QUICK_ROADS_MS = [10]

/** `row` has what rows of 64 MiB have in common, by kind of operation. */
export function roadRows(row, scale) {
  const isQuick = scale < 1
  return (isQuick ? QUICK_ROADS_MS : ROADS_MS).flatMap((rttMs) =>
    ['read', 'write'].map((op) => ({
      id: `road-${rttMs}ms-${op}`,
      title: `64 MiB ${op}s, one at a time, ${rttMs} ms of round trip; one connection where no number stands`,
      contenders: isQuick ? QUICK : CONTENDERS,
      road: { rttMs },
      rounds: isQuick ? 2 : 3,
      ...row(op, Math.max(2, Math.round(8 / Math.sqrt(rttMs)))),
    })),
  )
}

const LANES = ['memlane:2', 'memlane:4', 'memlane:8']
const KERNEL = ['raw:auto', 'node-net']

/**
 * How many times one lane several are. Over 1 ms one fills what the processor carries, which is nobody's merit; over 10 ms a few
 * do.
 */
const MULTIPLY = { 10: 2, 50: 3.5 }

/** The lines of goal G2 on long roads, made by `goal`; `atLeast` judges a ratio. */
export function roadGoals(goal, atLeast) {
  return ROADS_MS.flatMap((rttMs) =>
    ['read', 'write'].flatMap((op) => {
      const measure = { row: `road-${rttMs}ms-${op}`, figure: 'gbps', unit: 'GB/s' }
      const one = goal('G2-road', measure, KERNEL, "one lane at least 0.9 × what the kernel's own buffers allow", atLeast(0.9))
      const times = MULTIPLY[rttMs]
      if (times === undefined) return [one]
      const many = { ...measure, ours: LANES }
      return [one, goal('G2-road', many, ['memlane'], `lanes at least ${times} × one`, atLeast(times))]
    }),
  )
}
