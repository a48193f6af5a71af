import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { TcpEndpoint } from 'memlane'
import { run, serving, start } from './support/cli.js'
import { folder } from './support/files.js'
import { Gate } from './support/gate.js'
import { onLinux } from './support/linux.js'
import { pattern, sha256 } from './support/raw-random.js'
import { until } from './support/until.js'
import { files, headerOf, type Row } from './support/weights.js'

const MIB = 1 << 20
const LARGE = 48 * MIB

function noted(part: string): number {
  try {
    return (JSON.parse(readFileSync(`${part}.json`, 'utf8')) as { done: number }).done
  } catch {
    return 0
  }
}

/** A pull of one file, stopped in the middle of it. */
async function halfway(t: ExecutionContext, name = 'f') {
  const bytes = pattern('large', LARGE)
  const source = join(files(t, { [name]: bytes }), name)
  const { url, port } = await serving(t, source)
  const gate = await Gate.open(t, port, 34 * MIB)
  const out = join(folder(t), 'out')
  mkdirSync(out)
  const part = join(out, `${name}.part`)
  const pulling = start(t, ['pull', gate.url, '-o', out])
  await until(() => noted(part) >= 4 * MIB)
  return { bytes, url, gate, out, part, file: join(out, name), pulling }
}

interface Ask {
  slots: [number, number][]
  ack: [number, number]
  fresh?: boolean
}

interface Told {
  regions: Readonly<Record<string, Buffer>>
  headers?: readonly string[]
  /** What stands before the names of tensors. */
  prefix?: string
  /** Slots by name and file. */
  slots?: readonly (readonly [string, number])[]
  state?: number
  sum?: (ask: Ask) => string
}

/** An endpoint that says of itself what `memlane serve` says, and whatever of sums. */
async function pretender(t: ExecutionContext, { regions, headers = [], prefix = '', slots = Object.keys(regions).map((name) => [name, 0] as const), state = 2, sum = () => '00'.repeat(32) }: Told) {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const publish = (name: string, bytes: Uint8Array) => {
    const memory = Buffer.from(endpoint.alloc(name, bytes.length, { access: 'read' }).buffer)
    memory.set(bytes)
    return memory
  }
  for (const [name, bytes] of Object.entries(regions)) publish(name, bytes)
  for (const [index, header] of headers.entries()) publish(`.memlane/header/${index}`, Buffer.from(header))
  const described = headers.map((header, index) => {
    const ends = [...header.matchAll(/"data_offsets":\[\d+,(\d+)\]/g)].map(([, end]) => Number(end))
    return { name: `f${index}`, bytes: 8 + header.length + Math.max(0, ...ends), header: { region: `.memlane/header/${index}`, prefix } }
  })
  publish('.memlane/manifest', Buffer.from(JSON.stringify({ memlane: 'serve', version: 1, files: described.length > 0 ? described : [{ name: 'f', bytes: 1 }], slots })))
  const sums = publish('.memlane/sums', Buffer.alloc(4096 + 64 * Math.max(1, slots.length)))
  const asks: Ask[] = []
  const answer = async () => {
    for await (const { data } of endpoint.messages({ tag: 0x73657276 })) {
      const ask = JSON.parse(Buffer.from(data).toString()) as Ask
      asks.push(ask)
      for (const index of slots.keys()) {
        sums[4096 + 64 * index] = state
        sums.write(sum(ask), 4096 + 64 * index + 32, 'hex')
      }
      sums.writeUInt32LE(ask.ack[1], 4 * ask.ack[0])
    }
  }
  void answer()
  return { url: `tcp://127.0.0.1:${endpoint.port}`, asks }
}

onLinux(test.serial, 'there is no such lock elsewhere')('two pulls to one place by two paths: the second is refused', async (t) => {
  const { url, gate, out, file, bytes, pulling } = await halfway(t, 'x.safetensors.bin')
  const link = join(out, '..', 'link')
  symlinkSync(out, link)
  for (const output of [link, join(link, 'x.safetensors')]) {
    const { status, stderr } = await run('pull', url, '-o', output)
    t.is(status, 1, output)
    t.regex(stderr, /^memlane pull: another memlane pull is writing to [^\n]+\n$/)
  }
  gate.allow()
  t.is((await pulling.ended).status, 0)
  t.is(sha256(readFileSync(file)), sha256(bytes))
})

onLinux(test.serial, 'there is no such lock elsewhere')('pulls to two single files in one folder are beside each other, one into the folder is refused', async (t) => {
  const source = join(files(t, { f: pattern('large', LARGE) }), 'f')
  const { url, port } = await serving(t, source)
  const gate = await Gate.open(t, port, 34 * MIB)
  const out = folder(t)
  const pulling = start(t, ['pull', gate.url, '-o', join(out, 'a.safetensors')])
  await until(() => noted(join(out, 'a.safetensors.part')) >= 4 * MIB)
  t.is((await run('pull', url, '-o', join(out, 'b.safetensors'))).status, 0)
  const { status, stderr } = await run('pull', url, '-o', out)
  t.is(status, 1)
  t.regex(stderr, /another memlane pull is writing/)
  gate.allow()
  t.is((await pulling.ended).status, 0)
})

test.serial('a part that is replaced under way does not get the name', async (t) => {
  const { gate, part, file, pulling } = await halfway(t)
  unlinkSync(part)
  writeFileSync(part, 'of somebody else')
  gate.allow()
  const { status, stderr } = await pulling.ended
  t.is(status, 1)
  t.regex(stderr, /^memlane pull: \S+f\.part is another file now[^\n]+\n$/)
  t.false(existsSync(file))
  t.is(readFileSync(part, 'utf8'), 'of somebody else')
})

onLinux(test.serial, 'Windows has no pipes in folders')('what lies in the way of a part is neither waited for nor written through', async (t) => {
  const { url } = await serving(t, join(files(t, { f: pattern('f', 100) }), 'f'))
  const out = folder(t)
  const victim = join(folder(t), 'victim')
  writeFileSync(victim, 'mine')
  linkSync(victim, join(out, 'f.part'))
  execFileSync('mkfifo', [join(out, 'f.part.json')])
  t.is((await run('pull', url, '-o', out)).status, 0)
  t.is(readFileSync(victim, 'utf8'), 'mine')
  const other = folder(t)
  execFileSync('mkfifo', [join(other, 'f.part')])
  t.is((await run('pull', url, '-o', other)).status, 0)
  t.deepEqual(readdirSync(other), ['f'])
  t.true(statSync(join(other, 'f')).isFile())
})

onLinux(test.serial, 'Windows has no pipes in folders')('a pipe or a folder under the name of a file is refused before anything is pulled', async (t) => {
  const { url } = await serving(t, join(files(t, { f: Buffer.alloc(0x100), g: pattern('g', 9) }), 'f'))
  const out = folder(t)
  execFileSync('mkfifo', [join(out, 'f')])
  const { status, stderr } = await run('pull', url, '-o', out)
  t.is(status, 1)
  t.regex(stderr, /^memlane pull: \S+f is there already, and is no file: --force replaces it\n$/)
  const other = folder(t)
  mkdirSync(join(other, 'f'))
  const forced = await run('pull', url, '-o', other, '--force')
  t.is(forced.status, 1)
  t.regex(forced.stderr, /^memlane pull: \S+f: is a folder\n$/)
  t.deepEqual(readdirSync(other), ['f'])
})

test.serial('two tensors of one name are refused, and nothing is made', async (t) => {
  const full: Row = ['x', 'F32', [1], 4]
  const empty: Row = ['x', 'F32', [0], 0]
  for (const headers of [[[full], [empty]], [[empty], [full]], [[empty], [empty]], [[full], [full]]]) {
    const hasOne = headers.flat().includes(full)
    const { url } = await pretender(t, { regions: hasOne ? { x: Buffer.from('abcd') } : { y: Buffer.from('y') }, headers: headers.map((rows) => headerOf(rows)), slots: hasOne ? [['x', headers[0]?.[0] === full ? 0 : 1]] : [] })
    const parent = folder(t)
    for (const output of [join(parent, 'd'), join(parent, 'all.safetensors')]) {
      const { status, stderr } = await run('pull', url, '-o', output)
      t.is(status, 1)
      t.regex(stderr, /^memlane pull: what the peer says [^\n]+"x"[^\n]*\n$/)
    }
    t.deepEqual(readdirSync(parent), [])
  }
})

test.serial('a prefix that makes names which nothing can have is refused', async (t) => {
  const row: Row = ['x', 'F32', [0], 0]
  for (const [prefix, output] of [['p'.repeat(255), 'd'], ['\ud800', 'd'], ['\u0000', 'd'], ['a\u0007', 'all.safetensors']] as const) {
    const { url } = await pretender(t, { regions: { y: Buffer.from('y') }, headers: [headerOf([row])], slots: [['y', 0]], prefix })
    const { status, stderr } = await run('pull', url, '-o', join(folder(t), output))
    t.is(status, 1)
    t.regex(stderr, /^memlane pull: [^\n]+ (?:that no region can have|can be named)[^\n]+\n$/)
  }
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test.serial(`${signal} while the sums of the peer are waited for is no success`, async (t) => {
    const { url, asks } = await pretender(t, { regions: { x: Buffer.from('x') }, state: 1 })
    const out = folder(t)
    const pulling = start(t, ['pull', url, '-o', out, '--json'])
    await until(() => asks.length >= 2)
    pulling.child.kill(signal)
    const { status, stdout, stderr } = await pulling.ended
    t.is(status, signal === 'SIGINT' ? 130 : 143)
    t.true((JSON.parse(stdout) as { interrupted: boolean }).interrupted)
    t.regex(stderr, /^interrupted: /)
    t.false(existsSync(join(out, 'x')))
  })
}

test.serial('a sum in a state that nobody knows is refused', async (t) => {
  const { url } = await pretender(t, { regions: { x: Buffer.from('x') }, state: 9 })
  const { status, stderr } = await run('pull', url, '-o', folder(t))
  t.is(status, 1)
  t.regex(stderr, /^memlane pull: [^\n]+state 9[^\n]+\n$/)
})

test.serial('a peer that never has what it is to serve: one line, and exit status 3', async (t) => {
  const { url } = await pretender(t, { regions: { x: Buffer.from('x') }, slots: [['no\u001b"\u00ad\u{e0041}', 0]] })
  const { status, stderr } = await run('pull', url, '-o', folder(t), '--timeout', '0.5')
  t.is(status, 3)
  t.regex(stderr, /^memlane pull: \S+ was not ready within 500 ms: the peer is to serve "no\\u001b\\"\\u00ad\\u\{e0041\}", and does not do so yet\n$/)
})

test.serial('another sum than that of the bytes is asked for once more, afresh', async (t) => {
  const bytes = Buffer.from('x')
  const cured = await pretender(t, { regions: { x: bytes }, sum: ({ fresh }) => (fresh === true ? sha256(bytes) : '11'.repeat(32)) })
  const out = folder(t)
  t.is((await run('pull', cured.url, '-o', out)).status, 0)
  t.is(readFileSync(join(out, 'x'), 'utf8'), 'x')
  const wrong = await pretender(t, { regions: { x: bytes } })
  t.is((await run('pull', wrong.url, '-o', folder(t))).status, 4)
  t.deepEqual(wrong.asks.filter(({ fresh }) => fresh === true).map(({ slots }) => slots), [[[0, 1]]])
})

interface Opened {
  catalogue: { items: readonly object[] }
  choose(items: readonly object[]): Promise<void>
  sumsOf(items: readonly object[]): Promise<Map<string, string>>
}

test.serial('sums that never come are not waited for for ever', async (t) => {
  const { url } = await pretender(t, { regions: { x: Buffer.from('x') }, state: 1 })
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const { Source } = (await import(join(__dirname, '../../dist/src/cli/pull/source.js'))) as { Source: { open(...args: unknown[]): Promise<Opened> } }
  // The same, with less patience than the command has.
  const source = await Source.open(await endpoint.connect(url), true, 100, new AbortController().signal, 200)
  await source.choose(source.catalogue.items)
  await t.throwsAsync(source.sumsOf(source.catalogue.items), { code: 'ERR_TIMEOUT', message: /has computed no further SHA-256 in 200 ms/ })
})
