// What `memlane bench` makes of its samples: arithmetic and pictures without processes.
import { dirname, join } from 'node:path'
import test from 'ava'
import type * as histogramRoom from '../dist/src/cli/bench/picture/histogram'
import type * as latenciesRoom from '../dist/src/cli/bench/latencies'
import type * as lookRoom from '../dist/src/cli/bench/picture/look'
import type * as pageRoom from '../dist/src/cli/bench/page/page'
import type * as reportRoom from '../dist/src/cli/bench/picture/report'
import type * as resultRoom from '../dist/src/cli/bench/result'
import type * as throughputRoom from '../dist/src/cli/bench/page/throughput'
import { Random, seed } from './support/raw-random'

const room = <T>(name: string): T => require(join(dirname(require.resolve('memlane/package.json')), 'dist', 'src', 'cli', 'bench', `${name}.js`)) as T
const { boundOf, coarser, fewestFor, Latencies } = room<typeof latenciesRoom>('latencies')
const { rowOf, sizeName } = room<typeof resultRoom>('result')
const { report } = room<typeof reportRoom>('picture/report')
const { bar, height } = room<typeof lookRoom>('picture/look')
const { fitting } = room<typeof histogramRoom>('picture/histogram')
const { stepsTo } = room<typeof throughputRoom>('page/throughput')
const { page } = room<typeof pageRoom>('page/page')

const PRECISION = 0.00025

function latenciesOf(values: Iterable<number>) {
  const latencies = new Latencies()
  for (const value of values) latencies.add(value)
  return latencies
}

const upTo = (count: number) => latenciesOf(Array.from({ length: count }, (_, index) => index + 1))

/** Nearest rank, on a sorted list. */
function exact(sorted: readonly number[], quantile: number): number {
  return sorted[Math.max(1, Math.ceil(sorted.length * quantile - 1e-9)) - 1]!
}

test('percentiles are those of the sorted list by nearest rank, within a 4,000th', (t) => {
  t.log(`MEMLANE_SEED=${seed}`)
  const random = new Random('latencies')
  for (const count of [1, 2, 3, 10, 99, 100, 101, 5000]) {
    const values = Array.from({ length: count }, () => 10 ** (random.below(8_000_000) / 1e6 - 1))
    const sorted = [...values].sort((one, other) => one - other)
    const latencies = latenciesOf(values)
    for (const quantile of [0, 0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
      const [is, should] = [latencies.percentile(quantile), exact(sorted, quantile)]
      t.true(Math.abs(is / should - 1) <= PRECISION, `${quantile} of ${count}: ${is}, not ${should}`)
    }
    t.is(latencies.min, exact(sorted, 0))
    t.is(latencies.max, exact(sorted, 1))
  }
})

test('the rank is exact where the count times the share is whole', (t) => {
  // 0.99 of 100 is the 99th, which is below the 100th: a share that is not exact in binary must not move it.
  for (const [count, quantile, rank] of [[100, 0.99, 99], [1000, 0.999, 999], [10, 0.9, 9], [200, 0.99, 198], [1000, 0.29, 290]] as const) {
    t.is(Math.round(upTo(count).percentile(quantile)), rank, `${quantile} of ${count}`)
  }
})

test('a percentile wants so many operations that one lies beyond it', (t) => {
  t.deepEqual([0.5, 0.9, 0.99, 0.999, 0.9999].map(fewestFor), [2, 10, 100, 1000, 10_000])
  t.is(upTo(99).honest(0.99), null)
  t.is(Math.round(upTo(100).honest(0.99)!), 99)
  t.is(upTo(999).honest(0.999), null)
  t.is(Math.round(upTo(1000).honest(0.999)!), 999)
  t.is(upTo(1).honest(0.5), null)
})

test('of no operations there is no percentile, and an empty spread', (t) => {
  const none = new Latencies()
  t.deepEqual([none.count, none.min, none.max, none.percentile(0.5), none.honest(0.5)], [0, Number.NaN, Number.NaN, Number.NaN, null])
  t.deepEqual(none.spread().counts, [])
})

test('a latency of nothing, or of days, is counted', (t) => {
  const latencies = latenciesOf([0, 1e-9, 4e11, 1e18])
  t.is(latencies.count, 4)
  t.is(latencies.min, 0)
  t.is(latencies.max, 1e18)
  t.true(latencies.percentile(0.5) <= 1)
  t.is(latencies.spread().counts.reduce((sum, one) => sum + one), 4)
})

test('each latency is in the step of the histogram that it lies in, and none is lost', (t) => {
  t.log(`MEMLANE_SEED=${seed}`)
  const random = new Random('histogram')
  const values = Array.from({ length: 3000 }, () => 10 ** (random.below(5_000_000) / 1e6))
  const spread = latenciesOf(values).spread()
  const expected = spread.counts.map((_, index) => values.filter((value) => value >= boundOf(spread, index) && value < boundOf(spread, index + 1)).length)
  t.is(spread.counts.reduce((sum, one) => sum + one), 3000)
  // What lies next to a bound may be on its other side.
  for (const [index, count] of spread.counts.entries()) t.true(Math.abs(count - expected[index]!) <= 3, `step ${index}: ${count}, not ${expected[index]}`)
  t.true(spread.counts[0]! > 0 && spread.counts.at(-1)! > 0)
})

test('coarser steps have the sums of the finer ones, on the same bounds', (t) => {
  const fine = { perDecade: 40, first: -3, counts: Array.from({ length: 50 }, (_, index) => index + 1) }
  for (const perDecade of [20, 10, 8, 5, 4, 2, 1]) {
    const coarse = coarser(fine, perDecade)
    for (const [index, count] of coarse.counts.entries()) {
      const within = fine.counts.filter((_, at) => {
        const from = boundOf(fine, at) * 1.0001
        return from >= boundOf(coarse, index) && from < boundOf(coarse, index + 1)
      })
      t.is(count, within.reduce((sum, one) => sum + one, 0), `${perDecade} a decade, step ${index}`)
    }
  }
  t.throws(() => coarser(fine, 3), { instanceOf: RangeError })
})

test('a picture of any spread has at most twenty lines', (t) => {
  for (const values of [[10], [10, 11], [10, 100], [10, 1e4], [0.1, 1e8]]) {
    const spread = fitting(latenciesOf(values).spread())
    t.true(spread.counts.length >= 1 && spread.counts.length <= 20, `${values}: ${spread.counts.length}`)
    t.is(spread.counts.reduce((sum, one) => sum + one), values.length)
  }
})

test('what is not nothing is seen, and nothing is not', (t) => {
  for (const ascii of [false, true]) {
    t.is(bar(0, 40, ascii), '')
    t.is(bar(1e-9, 40, ascii).length, 1)
    t.is(bar(1, 40, ascii).length, 40)
    t.is(height(0, ascii), ' ')
    t.not(height(1e-9, ascii), ' ')
    t.not(height(1, ascii), height(0.5, ascii))
  }
})

test('a size is told as it was asked for, never rounded', (t) => {
  t.deepEqual([1, 64, 1000, 1024, 1536, 65_536, 1 << 20, 1.5 * 2 ** 20, (1 << 20) + 1, 2 ** 34].map(sizeName), ['1 B', '64 B', '1000 B', '1 KiB', '1.5 KiB', '64 KiB', '1 MiB', '1.5 MiB', '1048577 B', '16 GiB'])
})

test('an axis goes from zero to a round number that is not below the highest', (t) => {
  for (const highest of [1e-6, 0.03, 0.99, 1, 1.19, 6.2, 9.9, 123]) {
    const steps = stepsTo(highest)
    t.is(steps[0], 0)
    t.true(steps.at(-1)! >= highest && steps.at(-2)! < highest, `${highest}: ${steps}`)
    t.true(steps.length <= 6)
  }
})

function resultOf(latencies = upTo(2000), patch: Partial<resultRoom.Result> = {}): resultRoom.Result {
  const machine = { cpu: 'cpu', cores: 2, memory_gib: 1, kernel: 'k', arch: 'x64', node: '20', memlane: '0', placement: 'anywhere' }
  return {
    date: '2026-01-01T00:00:00.000Z',
    command: 'memlane bench',
    machine,
    target: { kind: 'own', address: '127.0.0.1:1', wire: 'native', region: 'bench', region_bytes: 1 << 20, busy: false, checked: true },
    completion: { read: 'r', write: 'w' },
    depth: 1,
    lanes: 2,
    seconds: 1,
    warmup_seconds: 0.2,
    ended: 'complete',
    rows: [rowOf('read', 64, latencies, 1, true), rowOf('write', 16 << 20, upTo(5), 1, true)],
    left_out: [],
    ...patch,
  }
}

const plain = { styled: (_: string, text: string) => text }

test('pictures and tables are as wide as the screen at most', (t) => {
  for (const columns of [40, 60, 80, 132]) {
    for (const ascii of [false, true]) {
      const lines = report(resultOf(), { columns, ascii, ...plain }, 64)
      const drawn = lines.slice(lines.indexOf('') + 1).filter((line) => !/^(-|–):|^Latency/.test(line))
      for (const line of drawn) t.true(line.length <= columns, `${columns} columns: ${line}`)
    }
  }
})

test('where there is nothing but ASCII, nothing else is said', (t) => {
  const lines = report(resultOf(), { columns: 80, ascii: true, ...plain }, 64)
  // oxlint-disable-next-line no-control-regex
  t.regex(lines.join('\n'), /^[\u0020-\u007e\n]*$/)
  t.regex(lines.join('\n'), /#/)
})

test('percentiles of too few operations are a dash, and a note says what they want', (t) => {
  const text = report(resultOf(), { columns: 80, ascii: false, ...plain }, undefined).join('\n')
  t.regex(text, /^write 16 MiB .* – +– +– /m)
  t.regex(text, /^–: too few operations for it: p90 wants 10, p99 wants 100, p99\.9 wants 1,000/m)
  const enough = report(resultOf(upTo(2000), { rows: [rowOf('read', 64, upTo(2000), 1, true)] }), { columns: 80, ascii: false, ...plain }, undefined)
  t.false(enough.join('\n').includes('too few'))
})

test('a run that did not end by itself says so, in the text and on the page', (t) => {
  const rows = [rowOf('read', 64, upTo(2000), 1, false)]
  const result = resultOf(upTo(1), { ended: 'interrupted', rows })
  t.regex(report(result, { columns: 80, ascii: false, ...plain }, undefined).join('\n'), /2,000\*[^]*^interrupted: this is what was measured until then; \*/m)
  t.regex(page(result), /class="warn">interrupted: [^]*2,000\*/)
  t.notRegex(page(resultOf()), /class="warn"/)
})

test('nothing of a page’s texts is mark-up, and it asks for nothing from anywhere', (t) => {
  const hostile = `</title><script>alert(1)</script><img src=x onerror='alert(2)'>"&`
  const target = { ...resultOf().target, address: hostile, region: hostile }
  const html = page(resultOf(upTo(2000), { target, command: hostile, machine: { ...resultOf().machine, cpu: hostile } }))
  t.false(html.includes('<script'))
  t.false(html.includes('<img'))
  t.regex(html, /&#60;script&#62;/)
  t.notRegex(html, /<[^>]*\b(src|href)=|https?:|@import|url\(/)
})
