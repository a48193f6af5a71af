import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Access, type MemoryRegion, TcpEndpoint } from 'memlane'
import type { Result } from '../dist/src/cli/bench/result'
import type * as resultRoom from '../dist/src/cli/bench/result'
import type * as units from '../dist/src/cli/units'
import { run, Running } from './support/cli'
import { onLinux } from './support/linux'
import { counting, fill } from './support/pair'
import { until } from './support/until'

const room = <T>(name: string): T => require(join(dirname(require.resolve('memlane/package.json')), 'dist', 'src', 'cli', `${name}.js`)) as T
const { countText, sizeName } = room<typeof resultRoom>('bench/result')
const { durationText, rateText } = room<typeof units>('units')

const SHORT = ['--seconds', '0.05']
const UTF8 = { LC_ALL: 'C.UTF-8' }

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'memlane-bench-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

/** A peer in this process, with regions of so many bytes. */
async function peer(t: ExecutionContext, regions: Record<string, [length: number, access: Access]>) {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close({ drainMs: 0 }))
  const made = new Map<string, MemoryRegion>()
  for (const [name, [length, access]] of Object.entries(regions)) {
    const region = endpoint.alloc(name, length, { access })
    fill(region.buffer, counting(length))
    made.set(name, region)
  }
  return { endpoint, url: `tcp://127.0.0.1:${endpoint.port}`, region: (name: string) => made.get(name) as MemoryRegion }
}

const json = (stdout: string) => JSON.parse(stdout) as Result
const bytesOf = (region: MemoryRegion) => Buffer.from(region.copyOut())

test('without a peer it measures reads and writes of a target of its own, whose every byte was checked', async (t) => {
  const { status, stdout, stderr } = await run('bench', '--json', '--sizes', '64k,64,1M', ...SHORT)
  t.is(status, 0, stderr)
  t.is(stdout.trimEnd().split('\n').length, 1)
  const { rows, target, ended, command, left_out } = json(stdout)
  t.deepEqual(
    rows.map(({ op, bytes, complete }) => [op, bytes, complete]),
    [64, 1 << 16, 1 << 20].flatMap((bytes) => [
      ['read', bytes, true],
      ['write', bytes, true],
    ])
  )
  t.deepEqual([target.kind, target.wire, target.region, target.checked, target.busy, ended, left_out], ['own', 'native', 'bench', true, false, 'complete', []])
  t.is(command, 'memlane bench --json --sizes 64k,64,1M --seconds 0.05')
  for (const row of rows) {
    t.true(row.n > 0 && row.seconds >= 0.05)
    t.is(row.histogram.counts.reduce((sum, count) => sum + count), row.n)
    t.true(Math.abs(row.gbps / ((row.n * row.bytes) / row.seconds / 1e9) - 1) < 1e-9)
    t.true(Math.abs(row.ops / (row.n / row.seconds) - 1) < 1e-9)
    const times = [row.min_us, row.p50_us, row.p90_us, row.p99_us, row.p999_us, row.max_us].filter((us) => us !== null)
    t.deepEqual(times, [...times].sort((one, other) => one - other))
    t.is(row.p99_us === null, row.n < 100)
    t.is(row.p999_us === null, row.n < 1000)
  }
})

test('the table, the JSON and the page have the same figures', async (t) => {
  const [out, html] = [join(folder(t), 'run.json'), join(folder(t), 'run.html')]
  const { status, stdout, stderr } = await new Running(['bench', '--sizes', '64,1M', '-o', out, '--html', html, ...SHORT], { env: UTF8 }).ended
  t.is(status, 0, stderr)
  const { rows } = json(readFileSync(out, 'utf8'))
  const lines = stdout.split('\n')
  const pageText = readFileSync(html, 'utf8')
  const pageRows = [...pageText.matchAll(/<tr><td class="(read|write)">(.*)<\/tr>/g)].map(([, , cells]) => cells!.split(/<\/?td[^>]*>/).filter((cell) => cell !== ''))
  t.is(rows.length, 4)
  for (const [index, row] of rows.entries()) {
    const times = [row.p50_us, row.p90_us, row.p99_us, row.p999_us, row.max_us].map((us) => (us === null ? '–' : durationText(us / 1000)))
    const ops = row.ops >= 100 ? countText(row.ops) : row.ops.toPrecision(3)
    const name = `${row.op.padEnd(5)} ${sizeName(row.bytes)}`
    const found = lines.filter((line) => line.startsWith(`${name} `))
    t.is(found.length, 3, `${name}: its line of the table, its bar, its latencies`)
    t.deepEqual(found[0]!.slice(name.length).trim().split(/ {2,}/), [countText(row.n), ops, ...times])
    t.regex(found[1]!, /[█▏▎▍▌▋▊▉]/)
    t.true(found[1]!.endsWith(` ${rateText(row.gbps * 1e9)}`), found[1])
    t.deepEqual(pageRows[index], [row.op, sizeName(row.bytes), countText(row.n), ops, rateText(row.gbps * 1e9), ...times])
    for (const part of [`${row.op} ${sizeName(row.bytes)}: ${rateText(row.gbps * 1e9)}`, `${row.op} ${sizeName(row.bytes)}, p50: ${durationText(row.p50_us! / 1000)}`]) {
      t.true(pageText.includes(`<title>${part}`), part)
    }
  }
  t.true(stdout.includes(`written: ${out}\nwritten: ${html}\n`))
  t.deepEqual(readdirSync(dirname(out)), ['run.json'])
})

test('of a peer it only reads, from the largest region that may be read', async (t) => {
  const { url, region } = await peer(t, { small: [4096, 'readwrite'], large: [8192, 'read'], larger: [16_384, 'write'] })
  const { status, stdout, stderr } = await run('bench', url, '--json', '--sizes', '4k', ...SHORT)
  t.is(status, 0, stderr)
  const { target, rows } = json(stdout)
  t.deepEqual([target.kind, target.region, target.region_bytes, target.checked], ['peer', 'large', 8192, false])
  t.deepEqual(rows.map(({ op }) => op), ['read'])
  const { operations, bytes } = region('large').stats()
  // The operations that were counted, and those of the warm-up.
  t.true(operations.reads > rows[0]!.n)
  t.is(bytes.served, operations.reads * 4096)
  for (const name of ['small', 'large', 'larger']) t.is(region(name).stats().operations.writes, 0)
})

test('operations that are under way together are on bytes of their own, as far as the region goes', async (t) => {
  for (const [depth, slots] of [[4, 4], [256, 8]] as const) {
    const { url, region } = await peer(t, { inbox: [8 * 1024 + 1000, 'write'] })
    const { status, stdout } = await run('bench', url, '--op', 'write', '--write', '--json', '--depth', String(depth), '--sizes', '1k', ...SHORT)
    t.is(status, 0)
    t.is(json(stdout).depth, depth)
    t.true(json(stdout).rows[0]!.n >= depth)
    // It is overwritten with zeros where it is written, which shows where that is.
    const expected = Buffer.from(counting(8 * 1024 + 1000)).fill(0, 0, slots * 1024)
    t.deepEqual(bytesOf(region('inbox')), expected)
  }
})

test('--write leaves the bytes of a region as they were, those beside the operation too', async (t) => {
  const { url, region } = await peer(t, { data: [100_000, 'readwrite'] })
  const { status, stdout, stderr } = await run('bench', url, '--op', 'write', '--write', '--json', '--sizes', '1,4k,65537', '--depth', '3', ...SHORT)
  t.is(status, 0, stderr)
  t.deepEqual(json(stdout).rows.map(({ op, bytes }) => [op, bytes]), [['write', 1], ['write', 4096], ['write', 65_537]])
  t.deepEqual(bytesOf(region('data')), Buffer.from(counting(100_000)))
  t.true(region('data').stats().operations.writes > 0)
})

test('a region that cannot be read is overwritten with zeros, and that is said', async (t) => {
  const { url, region } = await peer(t, { inbox: [4096, 'write'] })
  const { status, stderr } = await run('bench', url, '--op', 'write', '--write', '--sizes', '1k', ...SHORT)
  t.is(status, 0)
  t.regex(stderr, /^warning: .* overwritten with zeros$/m)
  t.deepEqual(bytesOf(region('inbox')), Buffer.concat([Buffer.alloc(1024), Buffer.from(counting(4096)).subarray(1024)]))
})

test('a region that all sizes are too long for is told in the words of other commands', async (t) => {
  const { url } = await peer(t, { data: [30_000, 'read'] })
  const { status, stderr } = await run('bench', url, '--sizes', '1M')
  t.is(status, 1)
  t.is(stderr, 'memlane bench: the region "data" has 29.3 KiB, less than any of --sizes\n')
})

test('sizes that are longer than the region are left out, and all of them are an error', async (t) => {
  const { url } = await peer(t, { data: [4096, 'read'] })
  const some = await run('bench', url, '--json', '--sizes', '64,1M', ...SHORT)
  t.is(some.status, 0)
  t.deepEqual(json(some.stdout).left_out, [1 << 20])
  t.is(some.stderr, '1 MiB is left out: the region has 4.00 KiB\n')
  const none = await run('bench', url, '--sizes', '1M', ...SHORT)
  t.is(none.status, 1)
  t.regex(none.stderr, /^memlane bench: the region "data" has 4\.00 KiB[^\n]*\n$/)
})

for (const [args, status, line] of [
  [['--region', 'nix'], 1, /has no region "nix": it has "data" \(read\)$/],
  [['--region', 'data', '--write'], 1, /"data" of \S+ is not for a write: its access is read$/],
  [['--write'], 1, /has no region for a read and a write: it has "data" \(read\)$/],
  [['--op', 'write'], 2, /--write has to allow/],
  [['--busy'], 2, /--busy is for a target of its own/],
] as const) {
  test(`of a peer with a read-only region, ${args.join(' ')} is one line, and ${status}`, async (t) => {
    const { url } = await peer(t, { data: [4096, 'read'] })
    const ended = await run('bench', url, ...args)
    t.is(ended.status, status)
    t.is(ended.stdout, '')
    t.regex(ended.stderr.trimEnd(), line)
    t.is(ended.stderr.split('\n').length, 2)
  })
}

for (const args of [['--sizes', '1q'], ['--sizes', '0'], ['--sizes', ''], ['--op', 'constructor'], ['--seconds', '0'], ['--depth', '0'], ['--lanes', '17'], ['--histogram', '5'], ['--region', 'x'], ['--token-file', 'x'], ['a:1', 'b:2']]) {
  test(`bench ${args.join(' ')} makes no sense: one line, and 2`, async (t) => {
    const { status, stdout, stderr } = await run('bench', ...args)
    t.is(status, 2)
    t.is(stdout, '')
    t.regex(stderr, /^memlane bench: [^\n]+\n$/)
  })
}

test('a file that cannot be written is said before anything is measured', async (t) => {
  const place = folder(t)
  for (const file of [place, join(place, 'nix', 'run.json')]) {
    for (const option of ['--html', '--output']) {
      const { status, stdout, stderr } = await run('bench', option, file, '--seconds', '3600')
      t.is(status, 1)
      t.is(stdout, '')
      t.regex(stderr, /^memlane bench: [^\n]+: (is a folder|no such file or folder)\n$/)
    }
  }
})

test('a file that a link leads to is replaced, not the link', async (t) => {
  const place = folder(t)
  writeFileSync(join(place, 'run.json'), 'before')
  symlinkSync('run.json', join(place, 'link.json'))
  const { status } = await run('bench', '--sizes', '64', '--op', 'read', '-o', join(place, 'link.json'), ...SHORT)
  t.is(status, 0)
  t.is(json(readFileSync(join(place, 'run.json'), 'utf8')).rows.length, 1)
})

test('a region’s name does nothing to the page or to the terminal', async (t) => {
  const name = '<script>alert(1)</script>\u001b[31m\u202e"&'
  const { url } = await peer(t, { [name]: [4096, 'read'] })
  const html = join(folder(t), 'run.html')
  const { status, stdout } = await run('bench', url, '--sizes', '64', '--html', html, ...SHORT)
  t.is(status, 0)
  // oxlint-disable-next-line no-control-regex
  t.notRegex(stdout, /[\u0000-\u0009\u000b-\u001f\u202e]/)
  const text = readFileSync(html, 'utf8')
  t.false(text.includes('<script'))
  t.true(text.includes('&#60;script&#62;alert(1)&#60;/script&#62;'))
  t.false(text.includes('\u202e'))
})

test('with the locale C, or --ascii, all is ASCII', async (t) => {
  const args = ['bench', '--sizes', '64', '--op', 'read', ...SHORT]
  const [plain, blocks, asked] = await Promise.all([
    new Running(args, { env: { LC_ALL: 'C' } }).ended,
    new Running(args, { env: UTF8 }).ended,
    new Running([...args, '--ascii'], { env: UTF8 }).ended,
  ])
  for (const { stdout } of [plain, asked]) {
    // oxlint-disable-next-line no-control-regex
    t.regex(stdout, /^[\u0020-\u007e\n]*$/)
    t.regex(stdout, /#/)
  }
  t.regex(blocks.stdout, /█/)
})

/** A run that goes on until it is ended, with an operation of it done at least. */
async function underWay(t: ExecutionContext, ...args: string[]) {
  const { endpoint, url, region } = await peer(t, { data: [4096, 'readwrite'] })
  const running = new Running(['bench', url, '--sizes', '64,4k', '--seconds', '2', ...args])
  t.teardown(() => running.child.kill('SIGKILL'))
  // Reads of 4 KiB are the second row: by then the first one is whole.
  await until(() => region('data').stats().bytes.served > region('data').stats().operations.reads * 64)
  return { endpoint, running }
}

test('Ctrl-C shows what was measured until then, writes it, and exits with 130', async (t) => {
  const out = join(folder(t), 'run.json')
  const { running } = await underWay(t, '-o', out)
  running.child.kill('SIGINT')
  const { status, stdout, stderr } = await running.ended
  t.is(status, 130)
  t.is(stderr, '')
  t.regex(stdout, /^read {2}64 B /m)
  t.regex(stdout, /^interrupted: this is what was measured until then/m)
  const { ended, rows } = json(readFileSync(out, 'utf8'))
  t.is(ended, 'interrupted')
  t.true(rows[0]!.complete)
  t.deepEqual(rows.slice(1).map(({ complete }) => complete), rows.length > 1 ? [false] : [])
})

test('Ctrl-C ends it also while the peer does not answer', async (t) => {
  const silent = createServer()
  t.teardown(() => silent.close())
  const asked = new Promise<void>((resolve) => silent.on('connection', (socket) => socket.on('error', () => {}).on('data', () => resolve())))
  await once(silent.listen(0, '127.0.0.1'), 'listening')
  const { port } = silent.address() as AddressInfo
  const info = join(folder(t), 'info.json')
  writeFileSync(info, JSON.stringify({ host: '127.0.0.1', port, mr_info: { data: { addr: 4096, length: 4096 } } }))
  const running = new Running(['bench', info, '--sizes', '64', '--timeout', '3600'])
  t.teardown(() => running.child.kill('SIGKILL'))
  await asked
  running.child.kill('SIGINT')
  // Well before the silence itself would end the read.
  const late = setTimeout(() => running.child.kill('SIGKILL'), 15_000)
  const { status, stdout, stderr } = await running.ended
  clearTimeout(late)
  t.is(status, 130)
  t.is(stderr, '')
  t.regex(stdout, /^interrupted before anything was measured$/m)
})

test('a peer that goes in mid-run is one line, behind what was measured, and 3', async (t) => {
  const { endpoint, running } = await underWay(t)
  await endpoint.close({ drainMs: 0 })
  const { status, stdout, stderr } = await running.ended
  t.is(status, 3)
  t.regex(stdout, /^read {2}64 B /m)
  t.regex(stdout, /^failed: this is what was measured until then/m)
  t.regex(stderr, /^memlane bench: the peer is gone, after [^\n]+\n$/)
})

test('a peer that asks for a token is measured with it, and without it is one line, and 3', async (t) => {
  const endpoint = await TcpEndpoint.listen({ token: 'a secret of sixteen bytes or more' })
  t.teardown(() => endpoint.close({ drainMs: 0 }))
  endpoint.alloc('data', 4096, { access: 'read' })
  const file = join(folder(t), 'token.txt')
  writeFileSync(file, 'a secret of sixteen bytes or more\n', { mode: 0o600 })
  const args = ['bench', `127.0.0.1:${endpoint.port}`, '--json', '--sizes', '64', ...SHORT]
  const known = await run(...args, '--token-file', file)
  t.is(known.status, 0, known.stderr)
  t.true(json(known.stdout).rows[0]!.n > 0)
  const unknown = await run(...args)
  t.is(unknown.status, 3)
  t.regex(unknown.stderr, /^memlane bench: [^\n]+\n$/)
})

test('a size that there is no memory for is one line, and 1', async (t) => {
  const { status, stdout, stderr } = await run('bench', '--sizes', String(totalmem()))
  t.is(status, 1)
  t.is(stdout, '')
  t.regex(stderr, /^memlane bench: twice \d[^\n]+ is more memory than this machine has: [^\n]+\n$/)
})

test('a peer that is not there is one line, and 3', async (t) => {
  const { status, stdout, stderr } = await run('bench', 'tcp://127.0.0.1:1')
  t.is(status, 3)
  t.is(stdout, '')
  t.regex(stderr, /^memlane bench: connect to 127\.0\.0\.1:1: [^\n]+\n$/)
})

test('--busy blocks the event loop of its own target, whose bytes move all the same', async (t) => {
  const { status, stdout, stderr } = await run('bench', '--busy', '--json', '--sizes', '64', '--seconds', '1')
  t.is(status, 0, stderr)
  const { target, rows } = json(stdout)
  t.true(target.busy)
  // In a second its JavaScript gets hold of its thread four times.
  t.true(rows.every(({ n }) => n > 10))
})

onLinux(test, '/proc tells who is whose child')('--busy keeps the event loop of its own target at work, which ends with it, also where it is killed', async (t) => {
  const running = new Running(['bench', '--busy', '--sizes', '64', '--seconds', '3600'])
  const { pid } = running.child
  const childOf = () => /^\d+/.exec(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))?.[0]
  await until(() => childOf() !== undefined)
  const target = Number(childOf())
  // Of its main thread alone, in hundredths of a second: nothing but computing takes a second of it.
  const userTime = () => Number(readFileSync(`/proc/${target}/task/${target}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')[11])
  await until(() => userTime() >= 100)
  running.child.kill('SIGKILL')
  await running.ended
  // Nobody may be there who takes note of its end.
  const isGone = () => {
    try {
      return /^State:\s+Z/m.test(readFileSync(`/proc/${target}/status`, 'utf8'))
    } catch {
      return true
    }
  }
  await until(isGone)
  t.pass()
})
