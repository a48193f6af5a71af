import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { absent, contender, results, row, type Results } from './support/bench-results'

const root = process.cwd()
const PAGE = join('docs', 'performance.md')
const TUNING = join('docs', 'tuning.md')
const COMPARISON = join('docs', 'comparison.md')
const KEPT = join('docs', 'performance', 'bench.json')

/** `npm run bench:plot` or `bench:docs`, as npm runs them. */
function run(script: 'plot' | 'docs', ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bench', `${script}.mjs`), ...args], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

/** A folder with the documents of this repository, and in it what `bench:docs` made of `wanted`. */
function documented(t: ExecutionContext, wanted: Results | null = results()) {
  const folder = mkdtempSync(join(tmpdir(), 'memlane-performance-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'docs'))
  for (const name of ['README.md', PAGE, TUNING, COMPARISON]) copyFileSync(join(root, name), join(folder, name))
  const file = join(folder, 'run.json')
  const write = (json: Results) => {
    writeFileSync(file, JSON.stringify(json))
    return run('docs', file, '--root', folder)
  }
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  if (wanted !== null) {
    const { status, stderr } = write(wanted)
    t.is(status, 0, stderr)
  }
  return { folder, file, write, read }
}

/** With each space one at which a line may end. */
const spaced = (text: string) => text.replaceAll('\u00a0', ' ')

/** The lines of a document between the markers of a part. */
function part(document: string, name: string): string[] {
  const found = new RegExp(`<!-- bench:${name} -->\\n([^]*?)<!-- bench:end -->`).exec(document)
  if (!found) throw new Error(`no part ${name}`)
  return spaced(found[1]!).split('\n').filter((line) => line !== '')
}

test('the documents and pictures of this repository are what the script makes of the figures that were kept', (t) => {
  const { status, stderr } = run('docs', '--check')
  t.is(stderr, '')
  t.is(status, 0)
})

test('a figure that was changed by hand is found, in a document as in a picture', (t) => {
  const { folder, read } = documented(t)
  t.is(run('docs', '--check', '--root', folder).status, 0)
  const picture = join('docs', 'performance', 'idle-busy.svg')
  for (const [name, before, after] of [[PAGE, '301', '302'], ['README.md', '301', '302'], [COMPARISON, '301', '302'], [picture, '301 ms', '302 ms']] as const) {
    const right = read(name)
    writeFileSync(join(folder, name), right.replace(before, after))
    t.not(read(name), right, name)
    const { status, stderr } = run('docs', '--check', '--root', folder)
    t.is(status, 1, name)
    t.true(stderr.includes(name.replaceAll('\\', '/')), stderr)
    writeFileSync(join(folder, name), right)
  }
})

test('the same run makes the same bytes, also from what was kept of it', (t) => {
  const one = documented(t)
  const other = documented(t)
  const names = ['README.md', PAGE, KEPT, ...readdirSync(join(one.folder, 'docs', 'performance')).map((name) => join('docs', 'performance', name))]
  for (const name of names) t.is(one.read(name), other.read(name), name)
  const { status, stdout } = run('docs', one.file, '--root', one.folder)
  t.is(status, 0)
  t.is(stdout, '', 'nothing is left to be written')
  t.true(one.read(KEPT).length < JSON.stringify(results(), null, 2).length)
})

test('a missed goal stands as missed beside those that are met', (t) => {
  const goals = part(documented(t).read(PAGE), 'goals')
  t.is(goals[0], '1 met, 1 missed.')
  t.regex(goals.find((line) => line.startsWith('| G1 '))!, /\| met \| 6\.00 GB\/s \| raw 3\.00 \| 2\.00 \|$/)
  t.regex(goals.find((line) => line.startsWith('| G2 '))!, /\| \*\*missed\*\* \| 6\.00 GB\/s \| node:net 4\.50 \| 1\.40 \|$/)
})

test('a goal that could not be measured is missed, and says who was not there', (t) => {
  const wanted = results()
  Object.assign(wanted.goals[1]!, { value: null, ratio: null, against: { name: 'NIXL', value: null }, absent: ['NIXL'] })
  const goals = part(documented(t, wanted).read(PAGE), 'goals')
  t.regex(goals.find((line) => line.startsWith('| G2 '))!, /absent: NIXL.*\*\*missed\*\* \| not measured \| NIXL: not measured \| – \|$/)
})

test('a contender that was absent is named with the reason, wherever its row is shown', (t) => {
  const wanted = results()
  wanted.rows[2]!.contenders.push(absent('nixl', 'its wheel is not there'))
  wanted.rows[0]!.contenders[3] = absent('node-net', 'no port was free')
  const { read } = documented(t, wanted)
  t.true(part(read(PAGE), 'run').some((line) => line.startsWith('- **NIXL**') && line.endsWith('its wheel is not there')))
  t.is(part(read(PAGE), 'rows').filter((line) => line === '- NIXL is absent: its wheel is not there').length, 2)
  t.true(read(join('docs', 'performance', 'idle-busy.svg')).includes('Absent from this run: NIXL (its wheel is not there).'))
  t.regex(part(read('README.md'), 'table').find((line) => line.startsWith('| [64 MiB reads]'))!, /\*\*6\.00 GB\/s\*\* \| absent \|/)
})

test('every figure by which somebody beats memlane is listed, with how many times, and no other', (t) => {
  const better = part(documented(t).read(PAGE), 'better').slice(2)
  t.deepEqual(better, [
    '| [`read-64MiB`](#read-64mib) | GB/s | 6.00 | UCX <get> & "put" 9.00 (1.50 ×, complete otherwise) |',
    '| [`read-64B`](#read-64b) | p50 µs | 96.0 | UCX <get> & "put" 14.0 (6.86 ×); raw 80.0 (1.20 ×); node:net 95.0 (1.01 ×, ranges overlap) |',
  ])
})

test('who is better by the median or by the rounds alone is listed too, and which of both it is', (t) => {
  const wanted = results()
  wanted.rows[3] = row('read-64B', [
    contender('memlane', { p50_us: [100, 90, 80] }),
    // In two of three rounds it is slower, and yet has the lower median; the other one the other way round.
    contender('raw', { p50_us: [101, 40, 81] }),
    contender('node-net', { p50_us: [99, 200, 79] }),
  ])
  const { read } = documented(t, wanted)
  t.is(
    part(read(PAGE), 'better').at(-1),
    '| [`read-64B`](#read-64b) | p50 µs | 90.0 | node:net 99.0 (1.01 ×, by its rounds alone, ranges overlap); raw 81.0 (0.990 ×, by its median alone, ranges overlap) |'
  )
})

test('figures in a sentence of another page are those of the run', (t) => {
  const wanted = results()
  wanted.rows.push(row('busy-all-1MiB', [contender('memlane', { p99_ms: [8, 9, 10] }), contender('memlane:nice', { p99_ms: [4, 4, 4] })]))
  const tuning = spaced(documented(t, wanted).read(TUNING))
  t.regex(tuning, /memlane p99_ms -->9\.00 ms<!-- \/ -->/)
  t.regex(tuning, /memlane:nice p99_ms -->4\.00 ms<!-- \/ -->/)
  t.regex(tuning, /node-net p99_ms -->\(not measured\)<!-- \/ -->/)
})

test('the README says who is better, and does not compare what completes otherwise', (t) => {
  const readme = documented(t).read('README.md')
  const better = part(readme, 'better').filter((line) => line.startsWith('- '))
  t.deepEqual(better, ['- title of read-64B: UCX <get> & "put" (6.86 ×), node:net (1.01 ×, ranges overlap)'])
  const line = (words: string) => part(readme, 'table').find((one) => one.startsWith(`| [${words}`))
  t.regex(line('64 MiB reads')!, /\| \*\*6\.00 GB\/s\*\* \| 4\.00 \(1\.50 ×\) \| – \| 3\.00 \(2\.00 ×\) \|$/)
  t.regex(line('64 B reads, one at a time')!, /\| 95\.0 \(\*\*0\.990 ×\*\*\) \| UCX <get> & "put" 14\.0 \(\*\*0\.146 ×\*\*\) \| 80\.0 \(\*\*0\.833 ×\*\*\) \|$/)
  t.true(part(readme, 'table').join(' ').includes('2026-01-02'))
})

test('nobody is said to be better where nobody is', (t) => {
  const wanted = results()
  wanted.rows = wanted.rows.slice(1, 3)
  const { read } = documented(t, wanted)
  t.deepEqual(part(read(PAGE), 'better'), ['Nobody was better than memlane in any row that it was measured in.'])
  t.regex(part(read('README.md'), 'better').join(), /no other transport did/)
})

test('a figure of all rounds together stands for them, and the slowest operation of all for nobody', (t) => {
  const wanted = results()
  const late = (id: string, value: number) => {
    const one = contender(id, { late_p99_ms: [1, 1, 1], max_us: [id === 'memlane' ? 9 : 8] })
    one.figures!['late_p99_ms']!.pooled = { value, what: 'p99 of 105' }
    return one
  }
  wanted.rows = [row('blocked-caller', [late('memlane', 3), late('node-net', 2)])]
  const { folder, read } = documented(t, wanted)
  t.true(part(read(PAGE), 'rows').includes('| node:net | 2.00 [p99 of 105] | 8.00 | **0.667 ×** |'))
  t.deepEqual(part(read(PAGE), 'better').slice(2), ['| [`blocked-caller`](#blocked-caller) | p99 ms late | 3.00 | node:net 2.00 (1.50 ×, ranges overlap) |'])
  t.is(run('docs', '--check', '--root', folder).status, 0)
})

test('a contender without p99.9 is drawn with what it has', (t) => {
  const wanted = results()
  wanted.rows = [row('read-64B', [contender('memlane', { p50_us: [90], p99_us: [150], p999_us: [333] }), contender('node-net', { p50_us: [95], p99_us: [160] })])]
  const svg = documented(t, wanted).read(join('docs', 'performance', 'latency-64B.svg'))
  for (const shown of ['>p99.9<', '>333 µs<', '>node:net<', '>160 µs<']) t.true(svg.includes(shown), shown)
})

test('a row that memlane was absent from is said to be one of which nothing is known', (t) => {
  const wanted = results()
  wanted.rows = wanted.rows.slice(2)
  wanted.rows[1]!.contenders[0] = absent('memlane', 'it is not built')
  const { read } = documented(t, wanted)
  t.is(part(read(PAGE), 'better').at(-1), 'Rows without memlane, where nothing can be said: [`read-64B`](#read-64b).')
  t.regex(part(read('README.md'), 'table').find((line) => line.startsWith('| [64 B reads'))!, /\| not measured \| 95\.0 \| UCX <get> & "put" 14\.0 \| 80\.0 \|$/)
})

test('machine, versions and the day of the run are told, in the page and in each picture', (t) => {
  const { read, folder } = documented(t)
  const run_ = part(read(PAGE), 'run').join(' ')
  for (const told of ['2026-01-02', 'Abacus', '2 cores', 'Linux 6', 'Node 20.1.2', 'rustc 1.95.0.']) t.true(run_.includes(told), told)
  t.regex(run_, /\| node:net \| Node 20\.1\.2 \|/)
  for (const name of readdirSync(join(folder, 'docs', 'performance')).filter((one) => one.endsWith('.svg'))) {
    const svg = read(join('docs', 'performance', name))
    for (const told of ['2026-01-02', 'Abacus', 'Linux 6', 'Node 20.1.2', 'memlane 0.1.0', '1.13.1']) t.true(svg.includes(told), `${name}: ${told}`)
  }
})

test('a picture shows each contender by name with its figures, and escapes what SVG takes for its own', (t) => {
  const svg = documented(t).read(join('docs', 'performance', 'idle-busy.svg'))
  for (const shown of ['>memlane<', '>node:net<', '>800 µs<', '>4.00 ms<', '>2.50 ms<', '>301 ms<', '>120 ×<']) t.true(svg.includes(shown), shown)
  t.true(svg.includes('UCX &lt;get&gt; &amp; &quot;put&quot;'))
  t.true(svg.includes('prefers-color-scheme:dark'))
  t.deepEqual(unbalanced(svg), [])
})

test('a picture whose rows are not there is not drawn, said so, and taken away', (t) => {
  const { folder, read, write } = documented(t)
  const picture = join(folder, 'docs', 'performance', 'idle-busy.svg')
  t.true(existsSync(picture))
  const wanted = results()
  wanted.rows = wanted.rows.filter(({ id }) => id !== 'busy-1MiB')
  t.is(write(wanted).status, 0)
  t.false(existsSync(picture))
  t.false(read(PAGE).includes('idle-busy.svg'))
  t.true(part(read(PAGE), 'charts').includes('- Reads from a process whose own code is busy: it needs the rows read-1MiB and busy-1MiB'))
  t.regex(part(read('README.md'), 'picture').join(), /not drawn, it needs the rows read-1MiB and busy-1MiB/)
})

test('rows of peers, roads and depths become curves', (t) => {
  const { folder, file } = documented(t, null)
  const wanted = results()
  const measured = (value: number) => [contender('memlane', { gbps: [value, value, value] }), contender('memlane:2', { gbps: [2 * value, 2 * value, 2 * value] })]
  for (const [id, value] of [['growth-peers-1', 5], ['growth-peers-64', 4], ['road-1ms-read', 2], ['road-50ms-read', 0.1]] as const) wanted.rows.push(row(id, measured(value)))
  for (const count of [16, 256]) wanted.rows.push(row(`read-64B-${count}`, [contender('memlane', { ops: [count * 3000, count * 3000, count * 3000] })]))
  writeFileSync(file, JSON.stringify(wanted))
  const { status, stdout } = run('plot', file, '--out', folder)
  t.is(status, 0)
  const lines = stdout.trim().split('\n')
  const text = (name: string) => readFileSync(join(folder, name), 'utf8')
  for (const shown of ['>memlane  4.00<', '>memlane, 2 lanes  8.00<', '>64<', '>0<']) t.true(text('growth-peers.svg').includes(shown), shown)
  for (const shown of ['>memlane  0.100<', '>50 ms<']) t.true(text('road-read.svg').includes(shown), shown)
  t.true(text('depth-64B.svg').includes('>memlane  768,000<'))
  t.true(lines.includes('not drawn: road-write.svg: it needs two or more rows road-DELAY-write'))
  t.is(lines.length, 13)
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.svg'))) t.deepEqual(unbalanced(text(name)), [], name)
})

test('a figure in a sentence comes from its row, and says so where nobody measured it', (t) => {
  const { folder, read, write } = documented(t, null)
  const asked = ['read-64MiB raw gbps', 'times read-64MiB raw gbps', 'read-9MiB raw gbps']
  writeFileSync(join(folder, PAGE), `${read(PAGE)}\n${asked.map((one) => `<!-- =${one} -->old<!-- / -->`).join('\n')}\n`)
  t.is(write(results()).status, 0)
  const last = spaced(read(PAGE)).trim().split('\n').slice(-3)
  t.deepEqual(last.map((line) => line.replaceAll(/<!--.*?-->/g, '')), ['3.00 GB/s', '2.00', '(not measured)'])
})

test('markers that nothing fills, and parts without a marker, are refused in one line', (t) => {
  const cases: [string, (page: string) => string, RegExp][] = [
    ['a marker too many', (page) => `${page}\n<!-- bench:nothing -->\n<!-- bench:end -->\n`, /has a marker for nothing, which nothing makes/],
    ['a marker too few', (page) => page.replace('<!-- bench:better -->', ''), /has no marker for better/],
    ['a figure of too few words', (page) => `${page}\n<!-- =read-64MiB -->x<!-- / -->\n`, /asks for "read-64MiB"/],
  ]
  for (const [what, change, expected] of cases) {
    const { folder, read, write } = documented(t, null)
    writeFileSync(join(folder, PAGE), change(read(PAGE)))
    const before = read('README.md')
    const { status, stderr } = write(results())
    t.is(status, 1, what)
    t.regex(stderr, expected)
    t.is(stderr.trim().split('\n').length, 1, stderr)
    t.is(read('README.md'), before, 'nothing is half written')
  }
})

test('a file that is no result of the bench is refused in one line, without a stack', (t) => {
  const { folder, file } = documented(t, null)
  /** A result whose value at a path is another, or is not there. */
  const broken = (path: string, value?: unknown) => {
    const json: unknown = results()
    const keys = path.split('.')
    const last = keys.pop()!
    const at = keys.reduce((inner, key) => (inner as Record<string, unknown>)[key], json)
    ;(at as Record<string, unknown>)[last] = value
    return JSON.stringify(json)
  }
  const cases: [string | null, RegExp][] = [
    [null, /cannot be read: ENOENT/],
    ['{ "machine": ', /is not JSON/],
    ['[]', /it is no object/],
    [broken('versions'), /versions is no object/],
    [broken('rows'), /rows is no list/],
    [broken('machine.kernel'), /machine\.kernel is no text/],
    [broken('rows.1.contenders.0.figures', 7), /rows\[1\]\.contenders\[0\]\.figures is no object/],
    [broken('rows.0.contenders.0.figures.gbps.median', 'fast'), /figures\.gbps\.median is no number/],
    [broken('goals.0.met'), /goals\[0\]\.met is neither true nor false/],
  ]
  for (const [text, expected] of cases) {
    if (text !== null) writeFileSync(file, text)
    for (const { status, stdout, stderr } of [run('plot', file, '--out', folder), run('docs', file, '--root', folder)]) {
      t.is(status, 1, text ?? 'no file')
      t.is(stdout, '')
      t.regex(stderr, expected)
      t.is(stderr.trim().split('\n').length, 1, stderr)
    }
  }
  t.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.svg')), [])
})

test('a command without its file, or with an option that it does not know, says so in one line', (t) => {
  for (const { status, stderr } of [run('plot'), run('plot', 'a.json', 'b.json'), run('docs', '--fast')]) {
    t.is(status, 1)
    t.is(stderr.trim().split('\n').length, 1, stderr)
  }
  t.regex(run('plot', '--help').stdout, /^npm run bench:plot -- FILE\.json/)
  t.regex(run('docs', '--help').stdout, /^npm run bench:docs -- \[FILE\.json\]/)
})

/** Elements that are opened and not closed, or closed and not opened. */
function unbalanced(svg: string): string[] {
  const open: string[] = []
  for (const [, close, name, rest] of svg.matchAll(/<(\/?)([a-z]+)((?:[^"<>]|"[^"<]*")*)>/g)) {
    if (close === '') {
      if (!rest!.endsWith('/')) open.push(name!)
    } else if (open.at(-1) === name) open.pop()
    else return [...open, `/${name}`]
  }
  const stray = svg.replaceAll(/<\/?[a-z]+(?:[^"<>]|"[^"<]*")*>/g, '').match(/[<>]/g) ?? []
  return [...open, ...stray]
}
