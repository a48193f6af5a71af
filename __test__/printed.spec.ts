import { inspect } from 'node:util'
import test from 'ava'
import { TcpContext, TcpEndpoint, TransferFuture } from 'memlane'
import { endpoint, pair } from './support/pair'

test('an endpoint is printed as what it is: where it listens, and what it has', async (t) => {
  const { target, initiator } = await pair(t)
  const region = target.alloc('x', 8)
  target.alloc('y', 8)
  const { port } = target
  const printed = (regions: number) => `TcpEndpoint { host: '127.0.0.1', port: ${port}, closed: false, regions: ${regions}, peers: 0 }`
  const oneLine = { breakLength: Infinity }
  t.is(inspect(target, oneLine), printed(2))
  await region.close()
  await region.close()
  t.is(inspect(target, oneLine), printed(1))
  t.regex(inspect(initiator, oneLine), /regions: 0, peers: 1 \}$/)
  await target.announce('printed')
  t.regex(inspect(target, oneLine), /name: 'printed'/)
  await target.close()
  t.regex(inspect(target, oneLine), /closed: true, regions: 0, peers: 0 \}$/)
})

test('a context and a future are printed as what they are', async (t) => {
  const context = new TcpContext({ ioThreads: 1 })
  const target = await endpoint(t, { context })
  target.alloc('x', 8, { access: 'read' })
  t.is(inspect(context), 'TcpContext { closed: false, endpoints: 1, peers: 0 }')
  const peer = await target.connect(target.endpointInfo())
  const label = `127.0.0.1:${target.port}`
  const read = peer.read('x')
  const printed = (state: string) => `TransferFuture { operation: 'read', peer: '${label}', region: 'x', state: '${state}' }`
  const oneLine = { breakLength: Infinity }
  t.is(inspect(read, oneLine), printed('pending'))
  await read
  t.is(inspect(read, oneLine), printed('fulfilled'))
  const refused = peer.read('x', { signal: AbortSignal.abort() })
  await t.throwsAsync(refused.wait())
  t.is(inspect(refused), "TransferFuture { state: 'rejected' }")
  const receive = target.recv(new Uint8Array(1))
  t.is(inspect(receive, oneLine), "TransferFuture { operation: 'recv', state: 'pending' }")
  receive.cancel()
  await t.throwsAsync(receive.wait())
  await context.close()
  t.is(inspect(context), 'TcpContext { closed: true, endpoints: 0, peers: 0 }')
})

test('a future that was only printed fails without being an unhandled rejection, one that is awaited fails whoever awaits it', async (t) => {
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const target = await endpoint(t)
  const printed = target.recv(new Uint8Array(1))
  const awaited = target.recv(new Uint8Array(1))
  const failure = awaited.then(
    () => undefined,
    (error: unknown) => (error as { code: string }).code
  )
  t.regex(inspect([printed, awaited]), /state: 'pending'/)
  await target.close()
  t.is(await failure, 'ERR_CLOSED')
  await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(unhandled, [])
  t.regex(inspect(printed), /state: 'rejected'/)
  await t.throwsAsync(printed.wait(), { code: 'ERR_CLOSED' } as object)
})

test('printing goes by the options that it is asked with, and takes what looks like one of them', async (t) => {
  const target = await endpoint(t)
  t.is(inspect({ a: { b: target } }, { depth: 1 }), '{ a: { b: [TcpEndpoint] } }')
  t.regex(inspect({ a: { b: target } }, { depth: null }), /b: TcpEndpoint \{\s+host:/)
  t.true(inspect(target, { colors: true }).includes('\u001b[33mfalse'))
  for (const { prototype } of [TcpEndpoint, TcpContext, TransferFuture]) t.is(typeof inspect(prototype), 'string')
  t.is(typeof inspect(Object.create(target)), 'string')
  const receive = target.recv(new Uint8Array(1))
  t.is(typeof inspect(Object.getPrototypeOf(receive)), 'string')
  receive.cancel()
  await t.throwsAsync(receive.wait())
})
