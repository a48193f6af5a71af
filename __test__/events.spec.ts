import { spawn, spawnSync } from 'node:child_process'
import { on, once } from 'node:events'
import { connect as dial } from 'node:net'
import { createInterface } from 'node:readline'
import test, { type ExecutionContext } from 'ava'
import { DISCONNECT_REASONS, type MemlaneError, TcpContext, type TcpEndpoint } from 'memlane'
import { endpoint, url } from './support/pair'
import { header, preface, RawConnection, READ } from './support/raw'

/** Every event of an endpoint, in order: its name, and the fields that tell one peer from another. */
class Told {
  readonly #events: unknown[][] = []
  #changed: () => void = () => {}

  constructor(endpoint: TcpEndpoint) {
    endpoint.on('peer', ({ direction, wire }) => this.#add('peer', direction, wire))
    endpoint.on('disconnect', ({ direction, reason }) => this.#add('disconnect', direction, reason))
    endpoint.on('error', ({ code }) => this.#add('error', code))
  }

  /** So many events; fails when they do not come. */
  async first(count: number): Promise<unknown[][]> {
    const deadline = AbortSignal.timeout(10_000)
    while (this.#events.length < count) {
      await new Promise<void>((resolve, reject) => {
        this.#changed = resolve
        deadline.addEventListener('abort', () => reject(new Error(`only ${JSON.stringify(this.#events)}`)), { once: true })
      })
    }
    return this.#events
  }

  #add(...event: unknown[]): void {
    this.#events.push(event)
    this.#changed()
  }
}

/** The endpoint's own name of its start. */
const instanceOf = (target: TcpEndpoint) => (target.endpointInfo() as unknown as { memlane: { instance: string } }).memlane.instance

test('both ends are told that a connection stands, with address, wire, direction and instance, and that it ended', async (t) => {
  const target = await endpoint(t, { lanesPerPeer: 4 })
  const initiator = await endpoint(t, { lanesPerPeer: 4 })
  const [inbound, outbound] = [once(target, 'peer'), once(initiator, 'peer')]
  const peer = await initiator.connect(url(target))
  const address = `127.0.0.1:${target.port}`
  t.deepEqual(await outbound, [{ address, wire: 'native', direction: 'outbound', instance: instanceOf(target) }])
  const [told] = (await inbound) as [{ address: string; instance: string }]
  t.like(told, { wire: 'native', direction: 'inbound' })
  t.regex(told.address, /^127\.0\.0\.1:\d+$/)
  t.regex(told.instance, /^[0-9a-f]{32}$/)
  const [gone, lost] = [once(target, 'disconnect'), once(initiator, 'disconnect')]
  await peer.close()
  t.deepEqual(await gone, [{ ...told, reason: 'closed' }])
  t.deepEqual(await lost, [{ address, wire: 'native', direction: 'outbound', instance: instanceOf(target), reason: 'local' }])
})

test('an endpoint that reads and sends is two inbound peers: its context, and itself', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t)
  const seen: (string | undefined)[] = []
  target.on('peer', ({ instance }) => seen.push(instance))
  const first = once(target, 'peer')
  const peer = await initiator.connect(url(target))
  await first
  t.not(seen[0], instanceOf(initiator))
  const second = once(target, 'peer')
  const receive = target.recv(new Uint8Array(1))
  await peer.send(new Uint8Array(1))
  await Promise.all([receive, second])
  t.deepEqual(seen.slice(1), [instanceOf(initiator)])
})

test('a peer with several connections comes with the first and goes with the last', async (t) => {
  const target = await endpoint(t)
  const told = new Told(target)
  const instance = new Uint8Array(16).fill(3)
  const first = await RawConnection.native(target.port, { instance })
  const second = await RawConnection.native(target.port, { instance })
  const other = await RawConnection.native(target.port, { instance: new Uint8Array(16).fill(4) })
  t.deepEqual(await told.first(2), [
    ['peer', 'inbound', 'native'],
    ['peer', 'inbound', 'native'],
  ])
  first.end()
  other.end()
  t.deepEqual((await told.first(3)).slice(2).map(([name]) => name), ['disconnect'])
  second.end()
  t.is((await told.first(4)).length, 4)
})

test('a legacy connection is a peer of its own, without an instance', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t)
  const came = once(target, 'peer')
  const region = target.alloc('x', 8, { access: 'read' })
  const { host, port } = target
  const peer = await initiator.connect({ host, port, mr_info: { x: region.info() as { addr: number; length: number } } })
  await peer.read('x')
  const [told] = (await came) as [Record<string, unknown>]
  t.deepEqual(Object.keys(told).sort(), ['address', 'direction', 'wire'])
  t.is(told.wire, 'legacy')
})

/** What an endpoint is told of a stranger that says `bytes` and stays. */
async function strange(t: ExecutionContext, bytes: Buffer, count: number): Promise<unknown[][]> {
  const target = await endpoint(t, { handshakeTimeoutMs: 1_000, headerTimeoutMs: 50 })
  const told = new Told(target)
  const connection = await RawConnection.open(target.port)
  connection.write(bytes)
  return told.first(count)
}

test('a peer that breaks the protocol is told as an error, with its address', async (t) => {
  const nonsense = header(99, 0, 0)
  t.deepEqual(await strange(t, Buffer.concat([preface(), nonsense]), 2), [
    ['peer', 'inbound', 'native'],
    ['error', 'ERR_PROTOCOL'],
  ])
  t.deepEqual(await strange(t, preface({ lowest: 2, highest: 3 }), 1), [['error', 'ERR_PROTOCOL']])
  t.deepEqual(await strange(t, preface({ flags: 1 }), 1), [['error', 'ERR_AUTH']])
  const target = await endpoint(t)
  const failed = once(target, 'peer').catch((error: MemlaneError) => error)
  const connection = await RawConnection.open(target.port)
  connection.write(preface({ lowest: 2, highest: 3 }))
  const error = (await failed) as MemlaneError
  t.like(error, { code: 'ERR_PROTOCOL', origin: 'remote' })
  t.regex(error.peer ?? '', /^127\.0\.0\.1:\d+$/)
})

test('a disconnect says why', async (t) => {
  t.deepEqual((await strange(t, Buffer.from([1]), 2))[1], ['disconnect', 'inbound', 'timeout'])
  const target = await endpoint(t, { idleTimeoutMs: 60_000 })
  const told = new Told(target)
  const closed = await RawConnection.native(target.port)
  closed.end()
  t.deepEqual((await told.first(2))[1], ['disconnect', 'inbound', 'closed'])
  const reset = await RawConnection.native(target.port)
  await told.first(3)
  reset.reset()
  t.deepEqual((await told.first(4))[3], ['disconnect', 'inbound', 'reset'])
  const refused = await RawConnection.open(target.port)
  refused.write(header(READ, 1, 1))
  await refused.rest()
  refused.destroy()
  t.deepEqual((await told.first(6))[5], ['disconnect', 'inbound', 'refused'])
  const here = await RawConnection.native(target.port)
  await told.first(7)
  const closing = target.close()
  await here.rest()
  here.destroy()
  await closing
  t.deepEqual((await told.first(8))[7], ['disconnect', 'inbound', 'local'])
  t.true((await told.first(8)).every(([, , reason]) => reason === 'native' || reason === 'legacy' || DISCONNECT_REASONS.includes(reason as never)))
})

test('a peer that goes away is told to whoever depends on it, and comes back with another instance', async (t) => {
  const first = await endpoint(t)
  const { port } = first
  const initiator = await endpoint(t)
  const peer = await initiator.connect(url(first))
  const gone = once(initiator, 'disconnect')
  await first.close()
  t.like(await gone, [{ address: `127.0.0.1:${port}`, direction: 'outbound', reason: 'closed' }])
  const second = await endpoint(t, { port })
  const back = once(initiator, 'peer')
  await peer.refresh()
  t.like(await back, [{ address: `127.0.0.1:${port}`, instance: instanceOf(second) }])
})

test('an idle connection that is let go of is a disconnect, and its next use a peer again', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t, { idleTimeoutMs: 1 })
  const told = new Told(initiator)
  const peer = await initiator.connect(url(target))
  t.deepEqual(await told.first(2), [
    ['peer', 'outbound', 'native'],
    ['disconnect', 'outbound', 'evicted'],
  ])
  await peer.refresh()
  t.deepEqual((await told.first(3))[2], ['peer', 'outbound', 'native'])
})

test('endpoints that share connections are each told of them, whoever dialled', async (t) => {
  const context = new TcpContext()
  t.teardown(() => context.close())
  const target = await endpoint(t)
  const [a, b] = [await endpoint(t, { context }), await endpoint(t, { context })]
  const [ofA, ofB] = [new Told(a), new Told(b)]
  await a.connect(url(target))
  t.is((await ofA.first(1)).length, 1)
  const second = await b.connect(url(target))
  t.deepEqual(await ofB.first(1), [['peer', 'outbound', 'native']])
  await second.close()
  t.deepEqual((await ofB.first(2))[1], ['disconnect', 'outbound', 'local'])
  t.is((await ofA.first(1)).length, 1)
})

test('once and on of node:events work, and a listener that was removed is told nothing more', async (t) => {
  const target = await endpoint(t)
  const seen: string[] = []
  const listener = ({ address }: { address: string }) => seen.push(address)
  target.on('peer', listener)
  t.is(target.listenerCount('peer'), 1)
  t.deepEqual(target.eventNames(), ['peer'])
  const peers = on(target, 'peer', { close: ['end'] })
  const initiator = await endpoint(t)
  await initiator.connect(url(target))
  const { value } = (await peers.next()) as { value: [{ direction: string }] }
  t.is(value[0].direction, 'inbound')
  t.is(seen.length, 1)
  await peers.return?.()
  target.off('peer', listener)
  target.removeAllListeners()
  const another = await endpoint(t, { ioThreads: 1 })
  await another.connect(url(target))
  const again = once(target, 'disconnect')
  await another.close()
  t.like(await again, [{ reason: 'closed' }])
  t.is(seen.length, 1)
})

test('closing an endpoint tells the ends of its connections before it resolves, and nothing afterwards', async (t) => {
  const target = await endpoint(t)
  const initiator = await endpoint(t)
  const seen: string[] = []
  for (const one of [target, initiator]) one.on('disconnect', ({ direction, reason }) => seen.push(`${direction} ${reason}`))
  const came = once(target, 'peer')
  await initiator.connect(url(target))
  await came
  await target.close()
  t.true(seen.includes('inbound local'), JSON.stringify(seen))
  await initiator.close()
  t.is(seen.length, 2)
  t.notThrows(() => target.on('peer', () => undefined))
})

const PROGRAM = (body: string) => `
  const { TcpEndpoint } = require('memlane')
  const net = require('node:net')
  const dial = (port, bytes) => new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('error', () => {}).on('close', resolve).resume()
  })
  void (async () => { ${body} })()`

function run(body: string): { out: string[]; status: number | null; err: string } {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', PROGRAM(body)], { encoding: 'utf8', timeout: 60_000 })
  return { out: stdout.trim().split('\n'), status, err: stderr }
}

// This thread is blocked meanwhile: the others come after it.
test.serial('without a listener for errors a hostile peer throws nothing, and listeners do not hold the process', (t) => {
  const { out, status, err } = run(`
    const endpoint = await TcpEndpoint.listen()
    const kinds = []
    endpoint.on('peer', () => kinds.push('peer')).on('disconnect', () => kinds.push('disconnect'))
    await dial(endpoint.port, Buffer.alloc(64, 255))
    while (kinds.length < 2) await new Promise((resolve) => setImmediate(resolve))
    console.log(kinds.join())`)
  t.deepEqual({ out, status, err }, { out: ['peer,disconnect'], status: 0, err: '' })
})

// This thread is blocked meanwhile: the others come after it.
test.serial('what a listener throws is an uncaught exception, and takes neither other events nor other operations with it', (t) => {
  const { out, status } = run(`
    const told = []
    process.on('uncaughtException', (error) => told.push(error.message))
    const endpoint = await TcpEndpoint.listen()
    const initiator = await TcpEndpoint.listen()
    endpoint.alloc('x', 8, { access: 'read' })
    endpoint.on('peer', () => { throw new Error('peer') }).on('disconnect', () => { throw new Error('disconnect') })
    const peer = await initiator.connect('tcp://127.0.0.1:' + endpoint.port)
    const reads = [peer.read('x'), peer.read('x'), peer.read('x')]
    reads[2].waitSync()
    await Promise.all(reads)
    await peer.close()
    while (told.length < 2) await new Promise((resolve) => setImmediate(resolve))
    console.log(told.join())
    await endpoint.close()
    await initiator.close()`)
  t.deepEqual({ out, status }, { out: ['peer,disconnect'], status: 0 })
})

const FLOOD = PROGRAM(`
  const port = Number(process.argv[1])
  let left = 10_000
  const one = async () => { while (left-- > 0) await new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.end(Buffer.from([1])))
    socket.on('error', () => {}).on('close', resolve).resume()
  }) }
  await Promise.all(Array.from({ length: 32 }, one))`)

// This thread is blocked meanwhile: the others come after it.
test.serial('ten thousand connections while this thread is blocked cost 1,024 events, and the count of the others', async (t) => {
  const target = await endpoint(t)
  const events = { peer: 0, disconnect: 0 }
  const errors: MemlaneError[] = []
  target.on('peer', () => events.peer++)
  target.on('disconnect', () => events.disconnect++)
  target.on('error', (error) => errors.push(error))
  const { status, stderr } = spawnSync(process.execPath, ['-e', FLOOD, String(target.port)], { encoding: 'utf8', timeout: 90_000 })
  t.is(status, 0, stderr)
  // Closing ends them all, and tells what is left.
  await target.close()
  t.is(events.peer + events.disconnect, 1_024)
  t.is(events.peer + events.disconnect + target.lostEvents, 20_000)
  t.deepEqual(errors.map(({ code, origin }) => [code, origin]), [['ERR_LIMIT', 'local']])
  t.regex(errors[0]?.message ?? '', /^18976 events were dropped/)
})

test('an endpoint that can accept nobody for want of descriptors tells it, and goes on when there are some', async (t) => {
  const program = PROGRAM(`
    const endpoint = await TcpEndpoint.listen()
    endpoint.on('error', ({ code, message }) => console.log(JSON.stringify({ code, message })))
    console.log(endpoint.port)
    process.stdin.once('data', () => endpoint.close().then(() => process.exit(0)))`)
  const child = spawn('sh', ['-c', 'ulimit -n 48 && exec "$@"', 'sh', process.execPath, '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const port = Number((await lines.next()).value)
  const sockets = await Promise.all(
    Array.from({ length: 48 }, async () => {
      const socket = dial(port, '127.0.0.1').on('error', () => undefined)
      await once(socket, 'connect')
      return socket
    })
  )
  const { code, message } = JSON.parse((await lines.next()).value as string) as MemlaneError
  t.is(code, 'ERR_LISTEN')
  t.regex(message, /no connection can be accepted for now: Too many open files/)
  for (const socket of sockets) socket.destroy()
  const connection = await RawConnection.native(port)
  connection.end()
  child.stdin.write('end\n')
  t.deepEqual(await once(child, 'exit'), [0, null])
})
