import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { TcpEndpoint } from 'memlane'
import { CLI, run, serving, start } from './support/cli.js'
import { folder } from './support/files.js'
import { Gate } from './support/gate.js'
import { onLinux } from './support/linux.js'
import { pattern, sha256 } from './support/raw-random.js'
import { until } from './support/until.js'
import { files, tensorsIn, weights, type Row } from './support/weights.js'

const ROWS: readonly Row[] = [
  ['a.weight', 'F32', [2, 3], 24],
  ['a.bias', 'BF16', [3], 6],
  ['none', 'I64', [0, 5], 0],
  ['packed', 'F4', [3, 2], 3],
]
const MIB = 1 << 20
/** More than what a pull has under way at once, several times. */
const LARGE = 48 * MIB

interface Result {
  bytes: number
  resumed: number
  verified: boolean
  regions: { name: string; file: string; bytes: number; sha256: string | null; verified: boolean; resumed: number; already_there: boolean }[]
}

const resultOf = (stdout: string): Result => JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Result

/** What a note beside a part says is there. */
function noted(part: string): number {
  try {
    return (JSON.parse(readFileSync(`${part}.json`, 'utf8')) as { done: number }).done
  } catch {
    return 0
  }
}

/** A served file that stops coming after so many bytes, and an empty folder to pull it into. */
async function large(t: ExecutionContext, limit: number, key = 'large') {
  const bytes = pattern(key, LARGE)
  const source = join(files(t, { f: bytes }), 'f')
  const { url, port, running } = await serving(t, source)
  const gate = await Gate.open(t, port, limit)
  const out = folder(t)
  return { bytes, url, source, port, running, gate, out, file: join(out, 'f'), part: join(out, 'f.part') }
}

test.serial('each region is a file; it is verified, and nothing else is left behind', async (t) => {
  const plain = pattern('plain', 5 * MIB + 3)
  const model = weights(ROWS)
  const source = files(t, { 'plain.bin': plain, 'm.safetensors': model })
  const { url } = await serving(t, join(source, 'plain.bin'), join(source, 'm.safetensors'))
  const out = join(folder(t), 'new', 'folder')
  const { status, stdout, stderr } = await run('pull', url, '-o', out, '--json')
  t.deepEqual([status, stderr], [0, ''])
  const tensors = tensorsIn(model).data
  t.deepEqual(readdirSync(out).sort(), ['a.bias', 'a.weight', 'none', 'packed', 'plain.bin'])
  t.is(sha256(readFileSync(join(out, 'plain.bin'))), sha256(plain))
  for (const [name, bytes] of tensors) t.deepEqual(readFileSync(join(out, name)), bytes)
  const { regions, verified, bytes } = resultOf(stdout)
  t.deepEqual([verified, bytes], [true, plain.length + 33])
  t.is(regions.find(({ name }) => name === 'plain.bin')?.sha256, sha256(plain))
  t.true(regions.every((one) => one.verified && one.resumed === 0 && !one.already_there))
})

test.serial('all tensors of a safetensors file make the very file again', async (t) => {
  const model = weights(ROWS, 'model', { format: 'pt', 'é': '\n' })
  const source = files(t, { 'm.safetensors': model, other: Buffer.from('x') })
  const { url } = await serving(t, '--prefix', join(source, 'm.safetensors'), join(source, 'other'))
  const out = join(folder(t), 'copy.safetensors')
  const { status, stdout } = await run('pull', url, 'm/*', '-o', out)
  t.is(status, 0)
  t.regex(stdout, /pulled 4 regions, 33 bytes in [^\n]+, verified by SHA-256: \S+copy\.safetensors\n$/)
  t.deepEqual(readFileSync(out), model)
})

test.serial('some tensors, and a plain file, make a safetensors file of their own', async (t) => {
  const model = weights(ROWS, 'model', { format: 'pt' })
  const source = files(t, { 'm.safetensors': model, raw: Buffer.from('12345') })
  const { url } = await serving(t, join(source, 'm.safetensors'), join(source, 'raw'))
  const out = join(folder(t), 'some.safetensors')
  t.is((await run('pull', url, 'a.*', 'none', 'raw', '-o', out)).status, 0)
  const { header, data } = tensorsIn(readFileSync(out))
  t.deepEqual(header.__metadata__ as unknown, { format: 'pt' })
  const kinds = Object.fromEntries([...data.keys()].map((name) => [name, [header[name]?.dtype, header[name]?.shape] as const]))
  t.deepEqual(kinds, { none: ['I64', [0, 5]], 'a.weight': ['F32', [2, 3]], 'a.bias': ['BF16', [3]], raw: ['U8', [5]] })
  const all = tensorsIn(model).data
  for (const name of ['a.weight', 'a.bias', 'none']) t.deepEqual(data.get(name), all.get(name))
  t.is(data.get('raw')?.toString(), '12345')
  // Our own reader takes it, which is strict.
  const { status } = await serving(t, out).then(({ running }) => (running.child.kill('SIGINT'), running.ended))
  t.is(status, 0)
})

test.serial('any endpoint can be pulled from; nobody tells its checksums, and --verify required wants them', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const region = endpoint.alloc('r', { dtype: 'int32', shape: [100], access: 'read' })
  new Int32Array(region.buffer).fill(7)
  endpoint.alloc('writable only', 10, { access: 'write' })
  const url = `tcp://127.0.0.1:${endpoint.port}`
  const out = folder(t)
  const { status, stdout } = await run('pull', url, '-o', out)
  t.is(status, 0)
  t.regex(stdout, /, not verified: /)
  t.deepEqual(readdirSync(out), ['r'])
  t.deepEqual(readFileSync(join(out, 'r')), Buffer.from(region.buffer))
  const file = join(folder(t), 'r.safetensors')
  t.is(resultOf((await run('pull', url, '-o', file, '--json')).stdout).verified, false)
  t.deepEqual(tensorsIn(readFileSync(file)).header, { r: { dtype: 'I32', shape: [100], data_offsets: [0, 400] } })
  const required = await run('pull', url, '-o', join(folder(t), 'x.safetensors'), '--verify', 'required')
  t.is(required.status, 4)
  t.regex(required.stderr, /^memlane pull: [^\n]+no memlane serve[^\n]+\n$/)
})

test.serial('names of a peer never leave the folder, nor hide in it, and no two are one file', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const names = ['../../x', '..', '.', '/etc/passwd', 'a/b', 'a\\b', 'C:evil', 'con', 'CON.txt', '.bashrc', '-rf', '~', 'x.part', 'x.part.json', 'x', 'a%2Fb', 'tail.', 'tail ', 'tail', 'bell\u0007', 'turn\u202e', '%', 'so\u00adft', 'tag\u{e0041}', 'fill\u3164', 'é'.repeat(127), `${'é'.repeat(126)}ab`]
  for (const name of names) endpoint.alloc(name, 8, { access: 'read' })
  const outer = folder(t)
  const out = join(outer, 'in')
  const { status, stdout, stderr } = await run('pull', `127.0.0.1:${endpoint.port}`, '-o', out, '--json')
  t.deepEqual([status, stderr], [0, ''])
  t.deepEqual(readdirSync(outer), ['in'])
  const made = readdirSync(out)
  t.is(made.length, names.length)
  t.is(new Set(made.map((name) => name.toLowerCase())).size, names.length)
  // oxlint-disable-next-line no-control-regex
  for (const name of made) t.notRegex(name, /^[.\-~ ]|[/\\:*?"<>|\u0000-\u001f\u202e\u00ad\u3164\u{e0041}]|[. ]$|\.part$|\.part\.json$|^con(\.|$)/iu, name)
  const short = resultOf(stdout).regions.filter(({ name }) => name.length < 50)
  for (const { name, file } of short) t.is(decodeURIComponent(basename(file)), name)
})

test.serial('what is there already is left where it is the same, refused where it is not, replaced with --force', async (t) => {
  const source = files(t, { f: pattern('f', 100_000), g: pattern('g', 10) })
  const { url } = await serving(t, join(source, 'f'), join(source, 'g'))
  const out = folder(t)
  t.is((await run('pull', url, '-o', out)).status, 0)
  const again = resultOf((await run('pull', url, '-o', out, '--json')).stdout)
  t.deepEqual([again.bytes, again.verified, again.regions.map((one) => one.already_there)], [0, true, [true, true]])
  writeFileSync(join(out, 'f'), pattern('other', 100_000))
  const refused = await run('pull', url, '-o', out)
  t.is(refused.status, 1)
  t.regex(refused.stderr, /^memlane pull: \S+f is there already, with other bytes: --force replaces it\n$/)
  t.is(sha256(readFileSync(join(out, 'f'))), sha256(pattern('other', 100_000)))
  t.is((await run('pull', url, '-o', out, '--force')).status, 0)
  t.is(sha256(readFileSync(join(out, 'f'))), sha256(pattern('f', 100_000)))
})

test.serial('hundreds of regions are hundreds of files, and there already the next time', async (t) => {
  const rows = Array.from({ length: 300 }, (_, index) => [`layer.${index}`, 'U8', [10], 10] as Row)
  const model = weights(rows)
  const { url } = await serving(t, join(files(t, { 'm.safetensors': model }), 'm.safetensors'))
  const out = folder(t)
  const { status, stderr, stdout } = await run('pull', url, '-o', out, '--json')
  t.deepEqual([status, stderr], [0, ''])
  t.true(resultOf(stdout).regions.every(({ verified }) => verified))
  t.is(readdirSync(out).length, 300)
  for (const [name, bytes] of tensorsIn(model).data) t.deepEqual(readFileSync(join(out, name)), bytes)
  const again = await run('pull', url, '-o', out)
  t.deepEqual([again.status, again.stderr], [0, ''])
  t.regex(again.stdout, /300 already there, verified/)
})

test.serial('a pull that was killed in the middle goes on where it was', async (t) => {
  const { bytes, gate, out, file, part } = await large(t, 34 * MIB)
  const first = start(t, ['pull', gate.url, '-o', out])
  await until(() => noted(part) >= 4 * MIB)
  first.child.kill('SIGKILL')
  await first.ended
  t.deepEqual(readdirSync(out).sort(), ['f.part', 'f.part.json'])
  const there = noted(part)
  gate.cut()
  gate.passed = 0
  gate.allow()
  const { status, stdout } = await run('pull', gate.url, '-o', out, '--json')
  t.is(status, 0)
  const { resumed, verified } = resultOf(stdout)
  t.deepEqual([resumed, verified], [there, true])
  t.true(gate.passed < LARGE - there + MIB, `${gate.passed} bytes came in place of ${LARGE - there}`)
  t.is(sha256(readFileSync(file)), sha256(bytes))
  t.deepEqual(readdirSync(out), ['f'])
})

test.serial('one safetensors file is resumed too, in the middle of a tensor', async (t) => {
  const rows: Row[] = Array.from({ length: 5 }, (_, index) => [`t${index}`, 'F32', [3_000_000], 12_000_000])
  const model = weights(rows)
  const { port } = await serving(t, join(files(t, { 'm.safetensors': model }), 'm.safetensors'))
  const gate = await Gate.open(t, port, 44_000_000)
  const out = folder(t)
  const args = ['pull', gate.url, '-o', join(out, 'x.safetensors'), '--json']
  const first = start(t, args)
  await until(() => noted(join(out, 'x.safetensors.part')) >= 16 * MIB)
  first.child.kill('SIGKILL')
  await first.ended
  gate.cut()
  gate.allow()
  const { regions, verified } = resultOf((await run(...args)).stdout)
  t.true(verified)
  t.deepEqual(regions.slice(0, 2).map(({ resumed }) => resumed > 0), [true, true])
  t.is(regions.at(-1)?.resumed, 0)
  t.is(sha256(readFileSync(join(out, 'x.safetensors'))), sha256(model))
})

for (const [signal, expected] of [['SIGINT', 130], ['SIGTERM', 143]] as const) {
  test.serial(`${signal} in the middle says how far it is, and leaves no file under the name`, async (t) => {
    const { bytes, gate, out, file, part } = await large(t, 34 * MIB)
    const first = start(t, ['pull', gate.url, '-o', out])
    await until(() => noted(part) >= 4 * MIB)
    first.child.kill(signal)
    const { status, stdout, stderr } = await first.ended
    t.is(status, expected)
    t.is(stdout, '')
    t.regex(stderr, /^interrupted: \S+ MiB of 48\.0 MiB are here; the same command goes on from there\n$/)
    t.false(existsSync(file))
    gate.allow()
    const { resumed } = resultOf((await run('pull', gate.url, '-o', out, '--json')).stdout)
    t.true(resumed >= 4 * MIB)
    t.is(sha256(readFileSync(file)), sha256(bytes))
  })
}

test.serial('a peer that is started again in the middle is gone on with by itself', async (t) => {
  const { bytes, source, running, gate, out, file, part } = await large(t, 34 * MIB)
  const pulling = start(t, ['pull', gate.url, '-o', out, '--json'])
  await until(() => noted(part) >= 4 * MIB)
  running.child.kill('SIGKILL')
  await running.ended
  const { port } = await serving(t, source)
  gate.cut(port)
  gate.allow()
  const { status, stdout, stderr } = await pulling.ended
  t.deepEqual([status, stderr], [0, ''])
  t.true(resultOf(stdout).verified)
  t.is(sha256(readFileSync(file)), sha256(bytes))
})

test.serial('a peer that stays away: one line, exit status 3, and nothing is lost', async (t) => {
  const { bytes, source, running, gate, out, file, part } = await large(t, 34 * MIB)
  const pulling = start(t, ['pull', gate.url, '-o', out, '--retry', '0.3'])
  await until(() => noted(part) >= 4 * MIB)
  running.child.kill('SIGKILL')
  await running.ended
  gate.cut()
  const { status, stderr } = await pulling.ended
  t.is(status, 3)
  t.regex(stderr, /^memlane pull: \S+ went away and was not back in 300 ms [^\n]+the same command goes on from there\n$/)
  t.false(existsSync(file))
  const { port } = await serving(t, source)
  gate.cut(port)
  gate.allow()
  t.true(resultOf((await run('pull', gate.url, '-o', out, '--json')).stdout).resumed >= 4 * MIB)
  t.is(sha256(readFileSync(file)), sha256(bytes))
})

test.serial('what is there of a file that has been changed since is not gone on with', async (t) => {
  const { source, gate, out, file, part } = await large(t, 34 * MIB)
  const first = start(t, ['pull', gate.url, '-o', out])
  await until(() => noted(part) >= 4 * MIB)
  first.child.kill('SIGKILL')
  await first.ended
  const other = pattern('other', LARGE)
  writeFileSync(source, other)
  gate.cut()
  gate.allow()
  const { status, stdout, stderr } = await run('pull', gate.url, '-o', out, '--json')
  t.is(status, 0)
  t.regex(stderr, /^memlane pull: \S+f\.part is of other bytes than the peer has now: it begins anew\n$/)
  t.is(resultOf(stdout).resumed, 0)
  t.is(sha256(readFileSync(file)), sha256(other))
})

test.serial('a file that was rewritten with its time set back is not gone on with either', async (t) => {
  const { source, gate, out, file, part } = await large(t, 34 * MIB)
  const { atime, mtime } = statSync(source)
  utimesSync(source, atime, mtime)
  const args = ['pull', gate.url, '-o', out, '--verify', 'never']
  const first = start(t, args)
  await until(() => noted(part) >= 4 * MIB)
  first.child.kill('SIGKILL')
  await first.ended
  const other = pattern('other', LARGE)
  writeFileSync(source, other)
  utimesSync(source, atime, mtime)
  gate.cut()
  gate.allow()
  const { status, stderr } = await run(...args)
  t.is(status, 0)
  t.regex(stderr, /is of other bytes than the peer has now: it begins anew\n$/)
  t.is(sha256(readFileSync(file)), sha256(other))
})

test.serial('where nothing is to come, no folder is made', async (t) => {
  const { url } = await serving(t, join(files(t, { f: Buffer.from('x') }), 'f'))
  const parent = folder(t)
  t.is((await run('pull', url, 'nope', '-o', join(parent, 'oz'))).status, 1)
  t.deepEqual(readdirSync(parent), [])
})

test.serial('a file that is changed while it is pulled is pulled anew', async (t) => {
  const { source, gate, out, file, part } = await large(t, 34 * MIB)
  const pulling = start(t, ['pull', gate.url, '-o', out])
  await until(() => noted(part) >= 4 * MIB)
  const other = pattern('other', LARGE)
  writeFileSync(source, other)
  // Clocks of file systems are coarse: this is another time for certain.
  utimesSync(source, 1, 1)
  gate.allow()
  const { status, stderr } = await pulling.ended
  t.is(status, 0)
  t.regex(stderr, /^memlane pull: [^\n]+other bytes[^\n]+ begins anew\n/)
  t.is(sha256(readFileSync(file)), sha256(other))
})

test.serial('regions of an endpoint that is made anew are pulled anew', async (t) => {
  const bytes = pattern('first', LARGE)
  const other = pattern('second', LARGE)
  const offering = async (content: Buffer) => {
    const endpoint = await TcpEndpoint.listen()
    t.teardown(() => endpoint.close())
    content.copy(Buffer.from(endpoint.alloc('f', LARGE, { access: 'read' }).buffer))
    return endpoint
  }
  const first = await offering(bytes)
  const second = await offering(other)
  const gate = await Gate.open(t, first.port, 34 * MIB)
  const out = folder(t)
  const pulling = start(t, ['pull', gate.url, '-o', out])
  await until(() => noted(join(out, 'f.part')) >= 4 * MIB)
  gate.cut(second.port)
  gate.allow()
  const { status, stderr } = await pulling.ended
  t.is(status, 0)
  t.regex(stderr, /other bytes[^\n]+begins anew/)
  t.is(sha256(readFileSync(join(out, 'f'))), sha256(other))
})

/** An endpoint that says of itself what `memlane serve` says, and whatever checksum it likes. */
async function pretender(t: ExecutionContext, manifest: string, sum: Buffer) {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  endpoint.alloc('f', 1000, { access: 'read' })
  const text = Buffer.from(manifest)
  text.copy(Buffer.from(endpoint.alloc('.memlane/manifest', text.length, { access: 'read' }).buffer))
  const sums = Buffer.from(endpoint.alloc('.memlane/sums', 4096 + 64, { access: 'read' }).buffer)
  sums[4096] = 2
  sum.copy(sums, 4096 + 32)
  const answer = async () => {
    for await (const { data } of endpoint.messages({ tag: 0x73657276 })) {
      const { ack: [cell, value] } = JSON.parse(Buffer.from(data).toString()) as { ack: [number, number] }
      sums.writeUInt32LE(value, 4 * cell)
    }
  }
  void answer()
  return `tcp://127.0.0.1:${endpoint.port}`
}

const MANIFEST = '{"memlane":"serve","version":1,"files":[{"name":"f","bytes":1000}],"slots":[["f",0]]}'

test.serial('bytes that are not those of the checksum: exit status 4, and no file under the name', async (t) => {
  const good = await pretender(t, MANIFEST, Buffer.from(sha256(Buffer.alloc(1000)), 'hex'))
  t.is((await run('pull', good, '-o', folder(t))).status, 0)
  const out = folder(t)
  const bad = await pretender(t, MANIFEST, Buffer.alloc(32, 1))
  const { status, stderr } = await run('pull', bad, '-o', out)
  t.is(status, 4)
  t.regex(stderr, /^memlane pull: f is not what the peer has: SHA-256 541b3e9d\S+ here, 0101\S+ there[^\n]+\n$/)
  t.deepEqual(readdirSync(out), ['f.part'])
  t.is((await run('pull', good, '-o', out)).status, 0)
  t.deepEqual(readdirSync(out), ['f'])
})

test.serial('a peer that says nonsense of itself is refused in a line', async (t) => {
  for (const manifest of ['x', 'null', '{}', '{"version":2}', '{"version":{"toString":1}}', '{"version":[[[]]]}', '{"version":1,"files":{},"slots":[]}', '{"version":1,"files":[],"slots":[["f",0]]}', '{"version":1,"files":[null],"slots":[]}', '{"version":1,"files":[{"name":"f","bytes":1}],"slots":[["f",0],["f",0]]}', '{"version":1,"files":[{"name":"f","bytes":1000,"header":{"region":"f","prefix":""}}],"slots":[["f",0]]}']) {
    const { status, stderr } = await run('pull', await pretender(t, manifest, Buffer.alloc(32)), '-o', folder(t))
    t.is(status, 1, manifest)
    t.regex(stderr, /^memlane pull: [^\n]+\n$/, manifest)
    t.notRegex(stderr, /fault of memlane/, manifest)
  }
})

onLinux(test.serial, 'elsewhere the limit has other units')('a disk that is full is one line, and leaves no file under the name', async (t) => {
  const { gate, out, file } = await large(t, Infinity)
  const child = spawn('bash', ['-c', 'ulimit -f 10000; exec "$@"', 'bash', process.execPath, CLI, 'pull', gate.url, '-o', out], { stdio: ['ignore', 'ignore', 'pipe'] })
  child.stderr.setEncoding('utf8')
  let stderr = ''
  child.stderr.on('data', (text: string) => (stderr += text))
  const status = await new Promise((resolve) => child.on('close', resolve))
  t.is(status, 1)
  t.regex(stderr, /^memlane pull: \S+f\.part: the file would be too large[^\n]*\n$/)
  t.false(existsSync(file))
})

test.serial('a wrong token: one line, and exit status 3', async (t) => {
  const source = files(t, { f: Buffer.from('x'), right: Buffer.from('one'), wrong: Buffer.from('two') })
  const { url } = await serving(t, '--token-file', join(source, 'right'), join(source, 'f'))
  const { status, stderr } = await run('pull', url, '-o', folder(t), '--token-file', join(source, 'wrong'))
  t.is(status, 3)
  t.regex(stderr, /^(?:warning: [^\n]+\n)?memlane pull: [^\n]+--token-file[^\n]+\n$/)
  t.is((await run('pull', url, '-o', folder(t), '--token-file', join(source, 'right'))).status, 0)
})

onLinux(test.serial, 'there is no such lock elsewhere')('two pulls to one place: the second is refused', async (t) => {
  const { url, gate, out, part, file, bytes } = await large(t, 34 * MIB)
  const first = start(t, ['pull', gate.url, '-o', out])
  await until(() => noted(part) >= 4 * MIB)
  const { status, stderr } = await run('pull', url, '-o', out)
  t.is(status, 1)
  t.regex(stderr, /^memlane pull: another memlane pull is writing to [^\n]+\n$/)
  gate.allow()
  t.is((await first.ended).status, 0)
  t.is(sha256(readFileSync(file)), sha256(bytes))
})

onLinux(test.serial, 'a root may do what others may not')('a link in place of a part is not written through', async (t) => {
  const source = files(t, { f: pattern('f', 100) })
  const { url } = await serving(t, join(source, 'f'))
  const out = folder(t)
  const victim = join(folder(t), 'victim')
  writeFileSync(victim, 'mine')
  symlinkSync(victim, join(out, 'f.part'))
  const { status, stderr } = await run('pull', url, '-o', out)
  t.is(status, 1)
  t.regex(stderr, /f\.part: is a link/)
  t.is(readFileSync(victim, 'utf8'), 'mine')
})

test.serial('what cannot be pulled is one line', async (t) => {
  const source = files(t, { f: Buffer.from('x') })
  const { url } = await serving(t, join(source, 'f'))
  const out = folder(t)
  writeFileSync(join(out, 'file'), '')
  for (const [args, expected, said] of [
    [[url], 2, /-o says where to/],
    [[url, '-o', out, '--verify', 'maybe'], 2, /auto, required or never/],
    [[url, '-o', out, '--lanes', '0'], 2, /--lanes/],
    [[url, 'g*', '-o', out], 1, /nothing to read that is named "g\*": it has f/],
    [[url, '.memlane/manifest', '-o', out], 1, /nothing to read that is named/],
    [[url, '-o', join(out, 'file')], 1, /is no folder/],
    [[url, '-o', join(out, 'file', 'sub')], 1, /is no folder/],
    [[url, '-o', join(out, 'no', 'such.safetensors')], 1, /no such file or folder/],
    [['tcp://127.0.0.1:1', '-o', out], 3, /connect to/],
  ] as [string[], number, RegExp][]) {
    const { status, stdout, stderr } = await run('pull', ...args)
    t.is(status, expected, `${args.join(' ')}: ${stderr}`)
    t.is(stdout, '')
    t.regex(stderr, said)
    t.regex(stderr, /^memlane pull: [^\n]+\n$/)
  }
  t.deepEqual(readdirSync(out), ['file'])
})
