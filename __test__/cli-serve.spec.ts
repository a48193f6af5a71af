import { execFileSync, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { TcpEndpoint, type ListenOptions } from 'memlane'
import { CLI, Running, run, serving, start } from './support/cli.js'
import { onLinux } from './support/linux.js'
import { container, files, headerOf, weights, type Row } from './support/weights.js'

const ROWS: readonly Row[] = [
  ['a.weight', 'F32', [2, 3], 24],
  ['a.bias', 'BF16', [3], 6],
  ['none', 'I64', [0, 5], 0],
  ['packed', 'F4', [3, 2], 3],
]

/** The peer that serves, as seen from an endpoint of this process. */
async function peerAt(t: ExecutionContext, url: string, options: ListenOptions = {}) {
  const endpoint = await TcpEndpoint.listen(options)
  t.teardown(() => endpoint.close())
  return endpoint.connect(url)
}

test('a file is a region under its name; each tensor of a safetensors file is one, with type and shape', async (t) => {
  const plain = Buffer.from('any bytes at all')
  const model = weights(ROWS)
  const folder = files(t, { 'plain.bin': plain, 'model.safetensors': model })
  const { url, running } = await serving(t, join(folder, 'plain.bin'), join(folder, 'model.safetensors'))
  const peer = await peerAt(t, url)
  t.deepEqual([...peer.regions.keys()].filter((name) => !name.startsWith('.memlane/')).sort(), ['a.bias', 'a.weight', 'packed', 'plain.bin'])
  t.deepEqual(Buffer.from(await peer.read('plain.bin')), plain)
  const { dtype, shape } = await peer.readTensor('a.weight')
  t.deepEqual([dtype, [...shape]], ['float32', [2, 3]])
  t.deepEqual(Buffer.from(await peer.read('a.weight')), model.subarray(model.length - 33, model.length - 9))
  t.is((await peer.readTensor('a.bias')).dtype, 'bfloat16')
  const packed = peer.regions.get('packed')
  t.deepEqual([packed?.dtype, packed?.length], [undefined, 3])
  await running.said(/note: a tensor has a type that memlane has no name for, and is served as bytes/, 'stderr')
  t.regex(running.stdout, /^ {2}a\.weight +float32 \[2, 3\] +24 bytes$/m)
  t.regex(running.stdout, /^ {2}packed +F4 as bytes \[3, 2\] +3 bytes$/m)
  t.regex(running.stdout, /a tensor without elements/)
  await t.throwsAsync(peer.write('plain.bin', Buffer.from('x')), { code: 'ERR_ACCESS' })
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends it, and it says what was served to how many`, async (t) => {
    const folder = files(t, { f: Buffer.alloc(5000, 1) })
    const { url, running } = await serving(t, join(folder, 'f'))
    const peer = await peerAt(t, url)
    await peer.read('f')
    running.child.kill(signal)
    const { status, stdout, stderr } = await running.ended
    t.is(status, 0)
    t.regex(stdout, /served 4\.88 KiB to 1 peer in [^\n]+\n$/)
    t.is(stderr, '')
  })
}

test('an empty file is left out in one line where there are others; where nothing was served, it says so', async (t) => {
  const folder = files(t, { empty: Buffer.alloc(0), f: Buffer.from('x') })
  const { running } = await serving(t, join(folder, 'empty'), join(folder, 'f'))
  running.child.kill('SIGINT')
  const { status, stdout, stderr } = await running.ended
  t.is(status, 0)
  t.is(stderr, `memlane serve: ${join(folder, 'empty')} is empty: not served\n`)
  t.regex(stdout, /serving 1 region, [^]+\nserved nothing to 0 peers in [^\n]+\n$/)
})

onLinux(test, 'others have no such limit')('more files than descriptors: one line says how to have more', async (t) => {
  const names = Array.from({ length: 300 }, (_, index) => `f${index}`)
  const folder = files(t, Object.fromEntries(names.map((name) => [name, Buffer.from('x')])))
  const child = spawn('bash', ['-c', 'ulimit -n 200; exec "$@"', 'bash', process.execPath, CLI, 'serve', ...names.map((name) => join(folder, name))], { stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => child.kill())
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [status] = (await once(child, 'close')) as [number]
  t.is(status, 1)
  t.regex(stderr, /^memlane serve: [^\n]+: ulimit -n 1600, fewer files\n$/)
})

test('regions that take longer to list than a peer takes are refused with what to do', async (t) => {
  const { checkListed } = (await import(join(__dirname, '../../dist/src/cli/serve/publish.js'))) as { checkListed(bytes: number, most: number, regions: number): void }
  t.notThrows(() => checkListed(64 << 20, 64 << 20, 130_000))
  t.throws(() => checkListed((64 << 20) + 1, 64 << 20, 130_000), { message: 'the names of 130000 regions take 64.0 MiB to list, and peers take 64.0 MiB: --whole, or fewer files' })
})

interface Told {
  asked(address: string): void
  count: number
}

test('a message that is handled after its sender has left takes no peer from the count', async (t) => {
  const { Visitors } = (await import(join(__dirname, '../../dist/src/cli/serve/visitors.js'))) as { Visitors: new (endpoint: EventEmitter) => Told }
  const endpoint = new EventEmitter()
  const visitors = new Visitors(endpoint)
  const asker = { address: '127.0.0.1:2', wire: 'native', direction: 'inbound', instance: 'b' }
  endpoint.emit('peer', { ...asker, address: '127.0.0.1:1', instance: 'a' })
  endpoint.emit('peer', asker)
  visitors.asked(asker.address)
  endpoint.emit('disconnect', asker)
  visitors.asked(asker.address)
  t.is(visitors.count, 1)
})

test('with --json the first document says what is served, the last what was', async (t) => {
  const folder = files(t, { 'm.safetensors': weights(ROWS) })
  const { url, running } = await serving(t, '--json', join(folder, 'm.safetensors'))
  running.child.kill('SIGINT')
  const { stdout } = await running.ended
  const [first, last] = stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  t.is(first?.url, url)
  const regions = (first?.regions ?? []) as { name: string; dtype: string | null; bytes: number }[]
  t.deepEqual(regions.map(({ name, dtype, bytes }) => [name, dtype, bytes]), [
    ['a.weight', 'float32', 24],
    ['a.bias', 'bfloat16', 6],
    ['packed', null, 3],
  ])
  t.like(last, { served_bytes: 0, peers: 0 })
})

onLinux(test, 'what a process has read is told by /proc there')('a file of 20 GB is served at once: nothing of it is read', async (t) => {
  const folder = files(t, {})
  const path = join(folder, 'large.safetensors')
  const bytes = 20_000_000_000
  const header = headerOf([['large', 'U8', [bytes - 8], bytes - 8], ['end', 'F32', [2], 8]])
  const file = openSync(path, 'w')
  writeSync(file, container(header))
  ftruncateSync(file, 8 + header.length + bytes)
  writeSync(file, Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]), 0, 8, header.length + bytes)
  closeSync(file)
  const { url, running } = await serving(t, path)
  const peer = await peerAt(t, url)
  t.deepEqual([...(await peer.read('end'))], [1, 2, 3, 4, 5, 6, 7, 8])
  const [, read = ''] = /^rchar: (\d+)/m.exec(readFileSync(`/proc/${running.child.pid}/io`, 'utf8')) ?? []
  t.true(Number(read) < 100_000_000, `it has read ${read} bytes`)
})

test('thousands of tensors are served', async (t) => {
  const rows = Array.from({ length: 3000 }, (_, index) => [`model.layers.${index}.self_attn.q_proj.weight`, 'F16', [2, 2], 8] as Row)
  const model = weights(rows)
  const folder = files(t, { 'm.safetensors': model })
  const { url, running } = await serving(t, join(folder, 'm.safetensors'))
  const peer = await peerAt(t, url, { maxInfoBytes: 16 << 20 })
  t.deepEqual(Buffer.from(await peer.read('model.layers.2999.self_attn.q_proj.weight')), model.subarray(-8))
  t.regex(running.stdout, /(?:…|\.\.\.) and 2960 more/)
})

test('with the locale C the screens of serve and pull are ASCII', async (t) => {
  const folder = files(t, { 'größe 😀.bin': Buffer.alloc(3, 'x') })
  const env = { LC_ALL: 'C' }
  const server = new Running(['serve', join(folder, 'größe 😀.bin')], { env })
  t.teardown(() => server.child.kill('SIGKILL'))
  const [url] = await server.said(/tcp:\/\/\S+/)
  const { status, stdout, stderr } = await new Running(['pull', url, '-o', join(folder, 'out')], { env }).ended
  t.is(status, 0, stderr)
  t.regex(stdout + stderr + server.stdout, /^[\u0020-\u007e\n]*$/)
  t.regex(stdout, /gr\\u00f6\\u00dfe \\u\{1f600\}\.bin/)
  t.regex(server.stdout, /gr\\u00f6\\u00dfe \\u\{1f600\}\.bin/)
})

test('--prefix tells files with the same tensors apart, and without it both are named', async (t) => {
  const folder = files(t, { 'a.safetensors': weights(ROWS, 'a'), 'b.safetensors': weights(ROWS, 'b') })
  const paths = [join(folder, 'a.safetensors'), join(folder, 'b.safetensors')]
  const { status, stderr } = await run('serve', ...paths)
  t.is(status, 1)
  t.regex(stderr, /^memlane serve: \S+a\.safetensors and \S+b\.safetensors both have "a\.weight": --prefix [^\n]+\n$/)
  const { url } = await serving(t, '--prefix', ...paths)
  const peer = await peerAt(t, url)
  t.notDeepEqual(await peer.read('a/a.weight'), await peer.read('b/a.weight'))
})

test('--name is another name, --whole serves a safetensors file as it is', async (t) => {
  const model = weights(ROWS)
  const folder = files(t, { 'm.safetensors': model })
  const { url } = await serving(t, '--whole', '--name', 'mine', join(folder, 'm.safetensors'))
  const peer = await peerAt(t, url)
  t.deepEqual(Buffer.from(await peer.read('mine')), model)
})

test('--read-write lets peers write, and it is in the file', async (t) => {
  const folder = files(t, { f: Buffer.from('before') })
  const { url } = await serving(t, '--read-write', join(folder, 'f'))
  const peer = await peerAt(t, url)
  await peer.write('f', Buffer.from('after!'))
  t.is(readFileSync(join(folder, 'f'), 'utf8'), 'after!')
})

test('--token-file keeps out who does not know it', async (t) => {
  const folder = files(t, { f: Buffer.from('x'), token: Buffer.from('secret of ours\n') })
  execFileSync('chmod', ['600', join(folder, 'token')])
  const { url, running } = await serving(t, '--token-file', join(folder, 'token'), join(folder, 'f'))
  await t.throwsAsync(peerAt(t, url), { code: 'ERR_AUTH' })
  await t.throwsAsync(peerAt(t, url, { token: 'another' }), { code: 'ERR_AUTH' })
  const peer = await peerAt(t, url, { token: 'secret of ours' })
  t.deepEqual([...(await peer.read('f'))], [0x78])
  // Who is turned away is told of, once in a while.
  running.child.kill('SIGINT')
  t.regex((await running.ended).stderr, /^(?:warning: [^\n]+\n)?turned away 127\.0\.0\.1: [^\n]+\n$/)
  const { url: other, running: json } = await serving(t, '--json', '--token-file', join(folder, 'token'), join(folder, 'f'))
  await t.throwsAsync(peerAt(t, other), { code: 'ERR_AUTH' })
  await json.said(/^\{"turned_away":\{"address":"127\.0\.0\.1","code":"ERR_AUTH",/m)
})

test('--advertise is what peers are told to dial', async (t) => {
  const folder = files(t, { f: Buffer.from('x') })
  const running = start(t, ['serve', '--advertise', 'model.example:9000', join(folder, 'f')])
  await running.said(/tcp:\/\/model\.example:9000/)
  t.pass()
})

test('--metrics-port answers /metrics, and 404 to all else', async (t) => {
  const folder = files(t, { f: Buffer.alloc(777, 1) })
  const { url, running } = await serving(t, '--metrics-port', '0', join(folder, 'f'))
  const [metrics = ''] = await running.said(/http:\/\/127\.0\.0\.1:\d+\/metrics/)
  const peer = await peerAt(t, url)
  await peer.read('f')
  const answer = await fetch(metrics)
  t.is(answer.status, 200)
  t.is(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  t.regex(await answer.text(), /^memlane_bytes_total\{direction="served"\} 777$/m)
  t.is((await fetch(`${metrics}?x=1`)).status, 200)
  t.is((await fetch(metrics.replace('/metrics', '/'))).status, 404)
  t.is((await fetch(metrics, { method: 'POST' })).status, 404)
})

test('--watch tells who is there and how much went out', async (t) => {
  const folder = files(t, { f: Buffer.alloc(4096, 1) })
  const { url, running } = await serving(t, '--watch', join(folder, 'f'))
  const peer = await peerAt(t, url)
  await peer.read('f')
  await running.said(/^served 4\.00 KiB at \S+ kB\/s, 1 peer$/m)
  const { url: other, running: json } = await serving(t, '--watch', '--json', join(folder, 'f'))
  const reader = await peerAt(t, other)
  await reader.read('f')
  const [line = ''] = await json.said(/^\{"served_bytes":4096.*$/m)
  const { peers, busiest } = JSON.parse(line) as { peers: { wire: string }[]; busiest: { name: string }[] }
  t.deepEqual(peers.map(({ wire }) => wire), ['native'])
  t.true(busiest.every(({ name }) => name === 'f'))
})

test('what cannot be served is one line that says what and why', async (t) => {
  const folder = files(t, {
    empty: Buffer.alloc(0),
    good: Buffer.from('x'),
    'short.safetensors': Buffer.from('{}'),
    'cut.safetensors': weights(ROWS).subarray(0, -1),
    'long.safetensors': container('{}', Buffer.alloc(100), 2 ** 40),
    'deep.safetensors': container('{"x":'.repeat(10_000)),
    'nul.safetensors': container(headerOf([['a\u0000', 'U8', [1], 1]]), Buffer.alloc(1)),
    'own.safetensors': weights([['.memlane/manifest', 'U8', [1], 1]]),
  })
  mkdirSync(join(folder, 'sub'))
  execFileSync('mkfifo', [join(folder, 'pipe')])
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const taken = String((server.address() as AddressInfo).port)
  for (const [args, said] of [
    [['nosuch'], /nosuch: no such file/],
    [['sub'], /sub: is a folder/],
    [['pipe'], /pipe: is no regular file/],
    [['empty'], /empty: is empty/],
    [['short.safetensors'], /too short/],
    [['cut.safetensors'], /cut off/],
    [['long.safetensors'], /1099511627776 bytes, and 100000000 are the most/],
    [['deep.safetensors'], /tensor "x" has "x"/],
    [['nul.safetensors'], /control character/],
    [['own.safetensors'], /memlane's own/],
    [['good', 'good'], /both have "good": serve them one by one/],
    [['good', '--port', taken], /listen/],
    [['good', '--metrics-port', taken], /port is taken/],
    [['good', '--host', '0.0.0.0'], /--allow-unauthenticated/],
  ] as [string[], RegExp][]) {
    const { status, stdout, stderr } = await run('serve', ...args.map((arg) => (/^[a-z]/.test(arg) ? join(folder, arg) : arg)))
    t.is(status, 1, args.join(' '))
    t.is(stdout, '')
    t.regex(stderr, said)
    t.regex(stderr, /^memlane serve: [^\n]+\n$/)
  }
})

test('what makes no sense is one line and exit status 2', async (t) => {
  const folder = files(t, { a: Buffer.from('x'), b: Buffer.from('x') })
  for (const args of [['--name', 'n', join(folder, 'a'), join(folder, 'b')], ['--metrics-host', '::1', join(folder, 'a')], ['--port', 'x', join(folder, 'a')], []]) {
    const { status, stderr } = await run('serve', ...args)
    t.is(status, 2, args.join(' '))
    t.regex(stderr, /^memlane serve: [^\n]+\n$/)
  }
})

test('messages that make no sense change nothing: who asks properly is answered after them', async (t) => {
  const bytes = Buffer.alloc(100_000, 7)
  const folder = files(t, { f: bytes })
  const { url } = await serving(t, join(folder, 'f'))
  const peer = await peerAt(t, url)
  const tag = 0x73657276
  for (const text of ['', 'x', 'null', '[]', '{"slots":[[0,2]],"sha256":true,"ack":[0,7]}', '{"slots":[[1,0]],"sha256":true,"ack":[0,7]}', '{"slots":[[0,1]],"sha256":true,"ack":[1024,7]}', '{"slots":[[0,1e99]],"sha256":1,"ack":[0,7]}']) {
    await peer.send(Buffer.from(text), { tag })
  }
  await peer.send(Buffer.from('{"slots":[[0,1]],"sha256":true,"ack":[3,9]}'), { tag })
  for (;;) {
    const sums = Buffer.from(await peer.read('.memlane/sums'))
    if (sums[4096] !== 2) continue
    t.is(sums.readUInt32LE(0), 0)
    t.is(sums.readUInt32LE(12), 9)
    break
  }
})

test('a reader that goes away does not end it', async (t) => {
  const folder = files(t, { f: Buffer.alloc(1000, 1) })
  const { url, running } = await serving(t, '--watch', join(folder, 'f'))
  running.child.stdout?.destroy()
  const peer = await peerAt(t, url)
  // Longer than the second after which it tells nobody how fast it goes.
  for (const until = performance.now() + 2500; performance.now() < until; ) t.is((await peer.read('f')).length, 1000)
  running.child.kill('SIGTERM')
  t.is((await running.ended).status, 0)
})
