import { spawnSync } from 'node:child_process'
import { on, once } from 'node:events'
import { dirname, join } from 'node:path'
import test from 'ava'
import * as memlane from 'memlane'
import type {
  Access,
  Bytes,
  DType,
  DisconnectEvent,
  DisconnectReason,
  EndpointInfo,
  EndpointStats,
  ErrorCode,
  Limits,
  MemoryRegion,
  Peer,
  PeerEvent,
  PeerInfo,
  Received,
  RegionInfo,
  TcpEndpoint,
  Tensor,
  TensorData,
  TransferFuture,
  Wire,
} from 'memlane'
import * as ts from 'typescript'
import type { Native } from '../dist/src/native'
import type * as loader from '../native'

const root = dirname(require.resolve('memlane/package.json'))

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only for `true`: what it is given is checked by the compiler, not when the test runs. */
function holds<T extends true>(): T | void {}

// Never called; compiled with the tests, and that is the test.
async function types(endpoint: TcpEndpoint, peer: Peer, region: MemoryRegion, future: TransferFuture<number>): Promise<void> {
  const owned = peer.read('x')
  const counted = peer.read('x', { into: region, intoOffset: 1, remoteOffset: 2n, length: 3 })
  const message = await endpoint.recv(new Float32Array(4), { tag: 7, exactSize: true })
  holds<Equal<typeof owned, TransferFuture<Uint8Array<ArrayBuffer>>>>()
  holds<Equal<typeof counted, TransferFuture<number>>>()
  holds<Equal<Awaited<typeof owned>, Uint8Array<ArrayBuffer>>>()
  holds<Equal<ReturnType<typeof region.copyOut>, Uint8Array<ArrayBuffer>>>()
  holds<Equal<typeof message, Received>>()
  holds<Equal<(typeof message)['peer'], Peer | undefined>>()
  const answered = await endpoint.recv(region, { from: peer })
  await answered.peer?.send(answered.data)
  holds<Equal<ReturnType<typeof future.waitFor>, Promise<number | null>>>()
  const blocked = future.waitSync()
  const maybe = future.waitSync(1)
  holds<Equal<typeof blocked, number>>()
  holds<Equal<typeof maybe, number | null>>()
  const connected = await endpoint.connect(endpoint.endpointInfo())
  holds<Equal<typeof connected, Peer>>()
  holds<Equal<typeof region.access, Access>>()
  holds<Equal<typeof peer.wire, Wire>>()
  holds<Equal<typeof peer.regions, ReadonlyMap<string, RegionInfo>>>()
  holds<Equal<keyof EndpointStats['limits'], keyof Limits>>()
  holds<EndpointInfo extends PeerInfo ? true : false>()
  const sources: Bytes[] = [Buffer.alloc(1), new DataView(new ArrayBuffer(1)), new ArrayBuffer(1), new SharedArrayBuffer(1)]
  for (const source of sources) await peer.write('x', source)
  await endpoint.connect({ host: '127.0.0.1', port: 7400, mr_info: { x: { addr: 1, length: 2 } } }, { wire: 'legacy' })
  const code: ErrorCode = 'ERR_TIMEOUT'
  const batch = peer.readBatch([{ remote: 'x', local: region }, { remote: 'y', local: new Float32Array(2), remoteOffset: 8n }])
  holds<Equal<typeof batch, TransferFuture<number>>>()
  const hot = peer.writeBatch(new Float64Array(3), { remote: 'x', local: region, timeoutMs: 5 })
  holds<Equal<typeof hot, TransferFuture<number>>>()
  const prepared = peer.prepare('read', [{ remote: 'x', local: region }])
  holds<Equal<ReturnType<typeof prepared.start>, TransferFuture<number>>>()
  for await (const message of endpoint.messages({ tag: 1 })) holds<Equal<typeof message, Received>>()
  endpoint.on('peer', (peer) => holds<Equal<typeof peer, PeerEvent>>())
  endpoint.once('disconnect', ({ reason }) => holds<Equal<typeof reason, DisconnectReason>>())
  endpoint.prependListener('error', (error) => holds<Equal<typeof error, memlane.MemlaneError>>())
  await once(endpoint, 'peer')
  for await (const [peer] of on(endpoint, 'disconnect')) void (peer as DisconnectEvent)

  // @ts-expect-error -- not an event
  endpoint.on('peers', () => undefined)
  // @ts-expect-error -- a peer that came has no reason
  endpoint.on('peer', ({ reason }) => reason)

  const tensor = await peer.readTensor('x', { into: region })
  holds<Equal<typeof tensor, Tensor>>()
  // What a literal says of the elements is known from then on, and nobody has to say it again.
  const made = endpoint.alloc('y', { dtype: 'float32', shape: [2, 3n] })
  made.typed().fill(1)
  holds<Equal<typeof made, MemoryRegion<'float32'>>>()
  holds<Equal<ReturnType<typeof tensors>, void>>()
  const mapped = await endpoint.mapFile('f', 'f', { dtype: 'int64', shape: [2] })
  mapped.typed().fill(1n)
  holds<Equal<typeof mapped, MemoryRegion<'int64'>>>()
  const bytes = await endpoint.mapFile('f', 'f', { offset: 8 })
  holds<Equal<typeof bytes, MemoryRegion>>()
  const anyOf: MemoryRegion[] = [made, mapped, endpoint.alloc('n', 8), endpoint.alloc('d', { dtype: 'int8' as DType, shape: [1] })]
  holds<Equal<(typeof anyOf)[number]['dtype'], DType | undefined>>()
  // @ts-expect-error -- a region of whichever type is none of that one
  const narrowed: MemoryRegion<'float32'> = region
  // @ts-expect-error -- a region of bytes has no elements that are known
  endpoint.alloc('n', 8).typed().fill(1)
  // A tensor in what was passed has just that as its data.
  const floated = await peer.readTensor('x', { into: new Float32Array(6) })
  floated.data.fill(1)
  holds<Equal<typeof floated.dtype, 'float32' | 'complex64'>>()
  const stored = await peer.readTensor('x', { into: mapped, rows: [0, 1] })
  stored.data.fill(1n)
  holds<Equal<typeof stored.dtype, 'int64'>>()
  const clamped = await peer.readTensor('x', { into: new Uint8ClampedArray(6) })
  holds<Equal<typeof clamped.data, Uint8ClampedArray<ArrayBuffer>>>()
  const held: Tensor = floated
  endpoint.publish('z', floated)
  // As the types of onnxruntime-common have it: texts are among what `data` may be, and refused when it comes to that.
  const ort = {} as { type: 'float32' | 'string'; data: Float32Array | string[]; dims: readonly number[]; location: 'cpu' | 'gpu-buffer' }
  holds<Equal<ReturnType<typeof endpoint.publish>, MemoryRegion>>()
  for (const given of [ort, tensor, Float32Array.of(1), new Uint8ClampedArray(1), { data: Uint16Array.of(1), dtype: 'bfloat16' as const }]) {
    endpoint.publish('z', given, { access: 'readwrite', allow: ['viewer'] })
  }
  await peer.readTensor('z', { rows: [0, 2n] })
  const floats = await peer.readTensor('z', { dtype: 'float32', rows: [0, 1] })
  holds<Equal<typeof floats.data, Float32Array>>()
  holds<Equal<typeof floats.dtype, 'float32'>>()
  region.typed('float32').fill(1)
  holds<Equal<ReturnType<typeof region.typed>, TensorData>>()
  // @ts-expect-error -- not a type of elements
  void peer.readTensor('z', { dtype: 'float' })
  // @ts-expect-error -- one row is no range
  void peer.readTensor('z', { rows: [0] })
  // @ts-expect-error -- an array of JavaScript has no type of elements
  endpoint.publish('z', { data: [1, 2] })
  void [narrowed, held]
  if (tensor.dtype === 'int64') holds<Equal<typeof tensor.data, BigInt64Array>>()
  if (tensor.dtype === 'bool') holds<Equal<typeof tensor.data, Uint8Array>>()
  holds<Equal<typeof region.dtype, DType | undefined>>()
  holds<Equal<ReturnType<typeof endpoint.mapFile>, Promise<MemoryRegion>>>()

  // @ts-expect-error -- descriptors alone do not say between which regions
  await peer.readBatch(new Float64Array(3))
  // @ts-expect-error -- what is started often needs memory that stays
  peer.prepare('read', [{ remote: 'x', local: new Uint8Array(8) }])

  // @ts-expect-error -- a text is not bytes
  await peer.write('x', code)
  // @ts-expect-error -- an option that does not exist
  await peer.read('x', { ofset: 1 })
  // @ts-expect-error -- a receive has no deadline
  await endpoint.recv(new Uint8Array(1), { timeoutMs: 1 })
  // @ts-expect-error -- a shape alone does not say how long its elements are
  endpoint.alloc('x', { shape: [2] })
  // @ts-expect-error -- not a right
  endpoint.alloc('x', 1, { access: 'rw' })
  // @ts-expect-error -- what a peer reports cannot be assigned
  region.closed = true
  // @ts-expect-error -- endpoints are made by listen
  new memlane.TcpEndpoint()

  // The library's idea of its native half, and what the generated loader declares.
  holds<typeof loader extends Native ? true : false>()
}

// As the classes of onnxruntime-common have it, and as docs/tensors.md uses them.
declare const OrtLike: new (type: 'float32', data: Float32Array | readonly number[], dims?: readonly number[]) => object
function tensors(endpoint: TcpEndpoint): void {
  const image = endpoint.alloc('image', { dtype: 'float32', shape: [1, 3, 48, 192], access: 'write' })
  void new OrtLike('float32', image.typed(), image.shape)
}

// Whoever passes on what may be missing need not take it apart: `tsconfig.json` has exactOptionalPropertyTypes.
function passedOn(endpoint: TcpEndpoint, peer: Peer, given: Partial<Record<'text', string>> & Partial<Record<'number', number>>, signal?: AbortSignal): void {
  const { text, number } = given
  void memlane.TcpEndpoint.listen({ host: text, port: number, localAddress: text, advertise: text, name: text, maxConnections: number, legacy: undefined })
  void endpoint.connect('tcp://h:1', { timeoutMs: number, signal, wire: undefined })
  endpoint.alloc('x', 1, { access: undefined, allow: undefined })
  void endpoint.mapFile('x', 'x', { access: undefined, offset: number, length: number, dtype: undefined, shape: undefined, unsafeBuffer: undefined, signal })
  void peer.read('x', { remoteOffset: number, length: number, timeoutMs: number, signal })
  void peer.read('x', { into: new Uint8Array(1), intoOffset: number })
  void peer.write('x', new Uint8Array(1), { sourceOffset: number, notify: number })
  void peer.readTensor('x', { dtype: undefined, rows: undefined, into: undefined, signal })
  void peer.readBatch([{ remote: 'x', local: new Uint8Array(1), localOffset: number, remoteOffset: number, length: number }], { timeoutMs: number })
  void peer.send(new Uint8Array(1), { tag: number, length: number, signal })
  void endpoint.recv(new Uint8Array(1), { tag: number, from: undefined, exactSize: undefined, signal })
  void endpoint.messages({ tag: number, from: undefined, maxBytes: number, buffered: number, signal })
  void endpoint.close({ drainMs: number })
  endpoint.endpointInfo({ as: text })
  endpoint.publish('x', { data: new Uint8Array(1), shape: undefined, dtype: undefined })

  // @ts-expect-error -- a variable that is not set asks nobody for anything
  void memlane.TcpEndpoint.listen({ token: text })
  // @ts-expect-error -- likewise
  new memlane.TcpContext({ tokens: undefined })
  // @ts-expect-error -- likewise
  void memlane.TcpEndpoint.listen({ tls: undefined })
  // @ts-expect-error -- without it nobody is asked for a certificate
  void memlane.TcpEndpoint.listen({ tls: { cert: '', key: '', ca: text } })
}

test('what types promise about the API is compiled with the tests', (t) => {
  t.is(typeof types, 'function')
  t.is(typeof passedOn, 'function')
})

const NAMES = {
  memlane: ['ARGUMENT_ERROR_CODES', 'DIAGNOSTICS_CHANNELS', 'DISCONNECT_REASONS', 'DTYPES', 'ERROR_CODES', 'MemlaneError', 'MemoryRegion', 'Peer', 'PreparedBatch', 'TcpContext', 'TcpEndpoint', 'TransferFuture', 'processDirectory'],
  'memlane/redis': ['RedisDirectory'],
}

for (const [specifier, names] of Object.entries(NAMES)) {
  test(`import and require of ${specifier} give the same things, by the same names`, (t) => {
    const program = `
      import * as imported from '${specifier}'
      import { createRequire } from 'node:module'
      const required = createRequire(import.meta.url)('${specifier}')
      const names = Object.keys(required).sort()
      const same = names.every((name) => imported[name] === required[name])
      console.log(JSON.stringify({ names, imported: Object.keys(imported).sort(), same }))`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { cwd: root, encoding: 'utf8' })
    t.is(stderr, '')
    const { imported, ...rest } = JSON.parse(stdout) as { names: string[]; imported: string[]; same: boolean }
    t.deepEqual(rest, { names, same: true })
    t.deepEqual(imported.filter((name) => name !== 'default' && name !== 'module.exports'), names)
  })
}

test('memlane/redis loads neither the engine nor any client', (t) => {
  const program = `require('memlane/redis'); console.log(JSON.stringify(Object.keys(require.cache)))`
  const { stdout } = spawnSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' })
  const loaded = JSON.parse(stdout) as string[]
  t.true(loaded.length > 1)
  t.deepEqual(loaded.filter((file) => /\.node$|native\.js$|node_modules/.test(file.slice(root.length))), [])
})

for (const entry of ['index', 'redis']) {
  test(`everything public is documented, and nothing internal shows: ${entry}`, (t) => {
    const file = join(root, 'dist', `${entry}.d.ts`)
    const program = ts.createProgram([file], { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.Node16, strict: true, noEmit: true })
    const checker = program.getTypeChecker()
    const source = program.getSourceFile(file)
    const module = source && checker.getSymbolAtLocation(source)
    t.truthy(module)
    const undocumented: string[] = []
    for (const exported of module ? checker.getExportsOfModule(module) : []) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      const documented = (member: ts.Symbol) => member.getDocumentationComment(checker).length > 0
      if (!documented(symbol)) undocumented.push(symbol.name)
      for (const [name, member] of [...(symbol.members ?? []), ...(symbol.exports ?? [])]) {
        const hidden = (member.declarations ?? []).every(
          (declaration) => ts.getCombinedModifierFlags(declaration) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)
        )
        const own = !hidden && member.flags & (ts.SymbolFlags.ClassMember | ts.SymbolFlags.Property)
        if (own && !String(name).startsWith('__') && !documented(member)) undocumented.push(`${symbol.name}.${String(name)}`)
      }
    }
    t.deepEqual(undocumented, [])
  })
}

test('the types of the package compile for programs that check everything', (t) => {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'],
    module: ts.ModuleKind.Node16,
    moduleResolution: ts.ModuleResolutionKind.Node16,
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  }
  for (const entry of ['index.d.ts', 'index.d.mts', 'redis.d.ts', 'redis.d.mts']) {
    const file = join(root, 'dist', entry)
    const program = ts.createProgram([file], options)
    const diagnostics = ts
      .getPreEmitDiagnostics(program)
      .filter(({ file }) => file?.fileName.startsWith(join(root, 'dist')) ?? true)
      .map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
    t.deepEqual(diagnostics, [], entry)
  }
})
