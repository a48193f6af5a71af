import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import {
  type Announcement,
  type Directory,
  MemlaneError,
  type NamedTarget,
  Peer,
  type PeerInfo,
  processDirectory,
  TcpContext,
  TcpEndpoint,
} from 'memlane'
import { Child } from './support/child'
import { endpoint, fill, thrown } from './support/pair'
import { RawListener } from './support/raw-listener'

let names = 0
/** A name that no other test of this process has. */
const fresh = () => `endpoint ${++names}`

/** An announced endpoint with one byte to read, so that peers can be told apart. */
async function announced(t: ExecutionContext, name: string, byte: number, directory?: Directory): Promise<TcpEndpoint> {
  const owner = await endpoint(t, directory === undefined ? { name } : { name, directory })
  fill(owner.alloc('which', 1, { access: 'read' }).buffer, Uint8Array.of(byte))
  return owner
}

async function which(peer: Peer): Promise<number | undefined> {
  return (await peer.read('which'))[0]
}

/** A directory that does as it is told, and says what it was asked. */
function scripted(lookup: (asked: number, signal: AbortSignal | undefined) => Promise<PeerInfo | undefined>): Directory & { asked: number } {
  return {
    asked: 0,
    announce: () => Promise.reject(new Error('it takes no names')),
    lookup(_, options) {
      return lookup(this.asked++, options?.signal)
    },
  }
}

const nobody = () => scripted(() => Promise.resolve(undefined))

test('an endpoint is found by the name that it listens with', async (t) => {
  const name = 'trainer-0 ä😀'
  const target = await announced(t, name, 7)
  t.is(target.announcement?.name, name)
  const initiator = await endpoint(t)
  t.is(initiator.announcement, undefined)
  const peer = await initiator.connect({ name })
  t.true(peer instanceof Peer)
  t.like(peer, { host: target.host, port: target.port, wire: 'native' })
  t.is(await which(peer), 7)
  const { host, port, memlane } = target.endpointInfo()
  t.deepEqual(await processDirectory.lookup(name), { host, port, memlane }, 'regions are not in the directory')
  t.is((await initiator.connect({ name }, { wire: 'legacy' })).wire, 'legacy')
})

test('connecting waits until somebody announces the name', async (t) => {
  const name = fresh()
  const initiator = await endpoint(t)
  const connecting = initiator.connect({ name })
  t.is(await connecting.waitFor(0.05), null)
  await announced(t, name, 3)
  t.is(await which(await connecting), 3)
})

test('a name that nobody announces is ERR_TIMEOUT at the deadline, and the message names it', async (t) => {
  const initiator = await endpoint(t)
  const error = await t.throwsAsync(initiator.connect({ name: 'no such "name"' }, { timeoutMs: 60 }).wait(), { instanceOf: MemlaneError })
  t.like(error, { code: 'ERR_TIMEOUT', origin: 'local', operation: 'connect', retryable: true })
  t.is(error?.message, 'connect to "no such \\"name\\"": nobody announced that name within 60 ms')
})

test('a connect to a name is given up by its signal and by cancel, and the message names it', async (t) => {
  const initiator = await endpoint(t)
  const controller = new AbortController()
  const reason = new Error('enough')
  const followed = initiator.connect({ name: 'never' }, { signal: controller.signal, timeoutMs: 0 })
  controller.abort(reason)
  const aborted = await t.throwsAsync(followed.wait(), { instanceOf: MemlaneError, message: /"never".*cancelled/ })
  t.like(aborted, { code: 'ERR_ABORTED', operation: 'connect', retryable: false })
  t.is(aborted?.cause, reason)
  const before = await t.throwsAsync(initiator.connect({ name: 'never' }, { signal: AbortSignal.abort(reason) }).wait(), { code: 'ERR_ABORTED' })
  t.is(before?.cause, reason)
  const connecting = initiator.connect({ name: 'never' }, { timeoutMs: 0 })
  connecting.cancel()
  connecting.cancel()
  await t.throwsAsync(connecting.wait(), { code: 'ERR_ABORTED', message: /"never"/ })
})

test('the pauses between lookups grow, and nobody is asked once it is over', async (t) => {
  const directory = nobody()
  const initiator = await endpoint(t, { directory })
  await t.throwsAsync(initiator.connect({ name: 'x' }, { timeoutMs: 400 }).wait(), { code: 'ERR_TIMEOUT' })
  // At 0, 5, 15, 35, 75, 155 and 315 ms where every pause is as short as chance makes it; less often on a busy machine.
  t.true(directory.asked <= 7, `asked ${directory.asked} times`)
})

test('a lookup that never answers is given up at the deadline, and told so', async (t) => {
  let told: AbortSignal | undefined
  const directory = scripted((_, signal) => {
    told = signal
    return new Promise(() => undefined)
  })
  const initiator = await endpoint(t, { directory })
  await t.throwsAsync(initiator.connect({ name: 'x' }, { timeoutMs: 30 }).wait(), { code: 'ERR_TIMEOUT' })
  t.is(told?.aborted, true)
})

test('closing the endpoint, or its context, ends a connect to a name with ERR_CLOSED', async (t) => {
  const context = new TcpContext()
  for (const close of [(owner: TcpEndpoint) => owner.close(), () => context.close()]) {
    const owner = await TcpEndpoint.listen({ context, directory: scripted(() => new Promise(() => undefined)) })
    const connecting = owner.connect({ name: 'x' }, { timeoutMs: 0 })
    await close(owner)
    await t.throwsAsync(connecting.wait(), { code: 'ERR_CLOSED' })
    t.like(thrown(() => owner.connect({ name: 'x' })), { code: 'ERR_CLOSED' })
  }
})

test('the last announcement of a name has it; the one before notices, and takes nothing away when it closes', async (t) => {
  const name = fresh()
  const first = await announced(t, name, 1)
  const second = await announced(t, name, 2)
  const initiator = await endpoint(t)
  t.is(await which(await initiator.connect({ name })), 2)
  await first.announcement?.lost
  await first.close()
  t.is(await which(await initiator.connect({ name })), 2)
  await second.announcement?.close()
  t.false(second.closed, 'the name alone was given back')
  t.is(await processDirectory.lookup(name), undefined)
})

test('one that lost its name and closes at once takes nothing away either', async (t) => {
  const name = fresh()
  const first = await announced(t, name, 1)
  await announced(t, name, 2)
  await first.close()
  t.is(await which(await (await endpoint(t)).connect({ name })), 2)
})

test('a name is withdrawn before its endpoint stops to listen', async (t) => {
  const seen: string[] = []
  const directory: Directory = {
    async announce(name, info): Promise<Announcement> {
      const { host, port } = info
      return {
        name,
        lost: new Promise(() => undefined),
        async close() {
          seen.push('withdrawn')
          const socket = connect({ host, port })
          await once(socket, 'connect')
          seen.push('still listening')
          socket.destroy()
          await once(socket, 'close')
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }
    },
    lookup: () => Promise.resolve(undefined),
  }
  for (const context of [undefined, new TcpContext()]) {
    const owner = await TcpEndpoint.listen({ name: 'x', directory, ...(context && { context }) })
    const { host, port } = owner
    const closing = context?.close() ?? owner.close()
    t.true(owner.closed)
    await closing
    t.deepEqual(seen.splice(0), ['withdrawn', 'still listening'])
    const [error] = (await once(connect({ host, port }), 'error')) as [NodeJS.ErrnoException]
    t.regex(error.code ?? '', /^ECONN(REFUSED|RESET)$/)
  }
})

test('a directory that fails or hangs at the withdrawal does not keep an endpoint open', async (t) => {
  for (const close of [() => Promise.reject(new Error('away')), () => new Promise<void>(() => undefined)]) {
    const announcement = { name: 'x', lost: new Promise<void>(() => undefined), close, [Symbol.asyncDispose]: close }
    const directory: Directory = { announce: () => Promise.resolve(announcement), lookup: () => Promise.resolve(undefined) }
    const owner = await TcpEndpoint.listen({ name: 'x', directory })
    await owner.close()
    t.true(owner.closed)
  }
})

test('a directory that fails is ERR_DIRECTORY, with its error as the cause', async (t) => {
  const cause = new Error('the server is away')
  const failing: [what: string, lookup: () => Promise<PeerInfo | undefined>][] = [
    ['rejects', () => Promise.reject(cause)],
    [
      'throws',
      () => {
        throw cause
      },
    ],
  ]
  for (const [what, lookup] of failing) {
    const initiator = await endpoint(t, { directory: scripted(lookup) })
    const error = await t.throwsAsync(initiator.connect({ name: 'x' }).wait(), { instanceOf: MemlaneError, message: /"x".*server is away/ }, what)
    t.like(error, { code: 'ERR_DIRECTORY', origin: 'transport', retryable: true, operation: 'connect' })
    t.is(error?.cause, cause)
  }
  const error = await t.throwsAsync(TcpEndpoint.listen({ name: 'x', directory: nobody() }), { instanceOf: MemlaneError })
  t.like(error, { code: 'ERR_DIRECTORY', operation: 'announce', retryable: true })
})

test('a directory that announces with what is no announcement, or rejects with anything, is ERR_DIRECTORY', async (t) => {
  const answers: (() => Promise<unknown>)[] = [
    ...[undefined, null, {}, 1, { lost: null, close() {} }, { lost: Promise.resolve() }].map((answer) => () => Promise.resolve(answer)),
    ...[undefined, Object.create(null) as unknown].map((reason) => () => Promise.reject(reason as Error)),
  ]
  for (const announce of answers) {
    const directory = { announce, lookup: announce } as unknown as Directory
    const error = await t.throwsAsync(TcpEndpoint.listen({ name: 'x', directory }), { instanceOf: MemlaneError })
    t.like(error, { code: 'ERR_DIRECTORY', operation: 'announce' })
  }
  const lost = Promise.reject(new Error('not as agreed'))
  const announcement = { name: 'x', lost, close: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() }
  const rejecting = await endpoint(t, { name: 'x', directory: { announce: () => Promise.resolve(announcement), lookup: () => Promise.resolve(undefined) } })
  t.is(rejecting.announcement, announcement)
  for (const lookup of [() => Promise.resolve(null), () => Promise.resolve(1), () => Promise.reject(Object.create(null) as Error)]) {
    const initiator = await endpoint(t, { directory: scripted(lookup as never) })
    const error = await t.throwsAsync(initiator.connect({ name: 'x' }, { timeoutMs: 2000 }).wait(), { instanceOf: MemlaneError })
    t.like(error, { code: 'ERR_DIRECTORY', operation: 'connect' })
  }
})

test('an endpoint that could not be announced listens no more', async (t) => {
  let port = 0
  const directory: Directory = {
    announce(_, info) {
      port = info.port
      return Promise.reject(new Error('away'))
    },
    lookup: () => Promise.resolve(undefined),
  }
  await t.throwsAsync(TcpEndpoint.listen({ name: 'x', directory }), { code: 'ERR_DIRECTORY' })
  t.is((await endpoint(t, { port })).port, port)
})

test('what a directory finds is an endpoint info, or the connect fails with ERR_PROTOCOL', async (t) => {
  for (const found of [{}, { host: '127.0.0.1' }, { host: '127.0.0.1', port: 1, memlane: { version: 2 } }]) {
    const initiator = await endpoint(t, { directory: scripted(() => Promise.resolve(found as PeerInfo)) })
    await t.throwsAsync(initiator.connect({ name: 'x' }).wait(), { code: 'ERR_PROTOCOL' }, JSON.stringify(found))
  }
})

test('an announcement that a dead process left behind is waited out: nobody at its port, or somebody else', async (t) => {
  const gone = await TcpEndpoint.listen()
  const refused = gone.endpointInfo()
  await gone.close()
  const other = await endpoint(t)
  const taken = { ...other.endpointInfo(), memlane: refused.memlane }
  const target = await announced(t, fresh(), 9)
  for (const stale of [refused, taken]) {
    const directory = scripted((asked) => Promise.resolve(asked < 2 ? stale : target.endpointInfo()))
    const initiator = await endpoint(t, { directory })
    t.is(await which(await initiator.connect({ name: 'x' })), 9)
    t.is(directory.asked, 3)
    const forever = await endpoint(t, { directory: scripted(() => Promise.resolve(stale)) })
    const error = await t.throwsAsync(forever.connect({ name: 'x' }, { timeoutMs: 1000 }).wait(), { instanceOf: MemlaneError, message: /"x".*did not answer/ })
    t.like(error, { code: 'ERR_TIMEOUT', peer: `127.0.0.1:${stale.port}` })
    t.like(error?.cause, { code: 'ERR_CONNECT' })
  }
})

test('a process that dies while it is being connected to is waited out like one that was dead before', async (t) => {
  // It greets, and dies with the question who it is.
  const dying = await RawListener.start({ describe: (_, socket) => void socket.resetAndDestroy() })
  t.teardown(() => dying.stop())
  const target = await announced(t, fresh(), 9)
  const stale: PeerInfo = { host: '127.0.0.1', port: dying.port, memlane: { version: 1 } }
  const directory = scripted((asked) => Promise.resolve(asked < 2 ? stale : target.endpointInfo()))
  const initiator = await endpoint(t, { directory })
  t.is(await which(await initiator.connect({ name: 'x' })), 9)
  t.is(directory.asked, 3)
})

test('the workers of a process find each other, and a worker that ends takes its name with it', async (t) => {
  const name = fresh()
  const worker = new Worker(join(__dirname, 'support', 'child-named.js'), { workerData: { name } })
  t.teardown(() => worker.terminate())
  const [message] = (await once(worker, 'message')) as [unknown]
  t.is(message, 'listening')
  const initiator = await endpoint(t)
  t.is(await which(await initiator.connect({ name })), 42)
  await worker.terminate()
  t.is(await processDirectory.lookup(name), undefined)
})

test('a named endpoint does not hold the process; a connect to a name does', async (t) => {
  const idle = await Child.start(t, 'lifecycle', ['named']).ended
  t.like(idle, { code: 0, output: 'idle\n' })
  const waiting = await Child.start(t, 'lifecycle', ['waiting']).ended
  t.like(waiting, { code: 0, output: 'ERR_TIMEOUT\n' })
})

test('a connect to a name that is still looked up cannot be waited for by blocking', async (t) => {
  const name = fresh()
  await announced(t, name, 5)
  const connecting = (await endpoint(t)).connect({ name })
  t.like(thrown(() => connecting.waitSync(1)), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  t.like(thrown(() => connecting.waitSync()), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  const peer = await connecting
  t.is(connecting.waitSync(), peer, 'once it is there, it is there')
})

test('names and directories that make no sense are refused at the call', async (t) => {
  const owner = await endpoint(t)
  const wrong: [unknown, string][] = [
    [1, 'ERR_INVALID_ARG_TYPE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
    ['', 'ERR_INVALID_ARG_VALUE'],
    ['a\0b', 'ERR_INVALID_ARG_VALUE'],
    ['\ud800', 'ERR_INVALID_ARG_VALUE'],
    ['é'.repeat(128), 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [name, code] of wrong) {
    t.like(thrown(() => TcpEndpoint.listen({ name: name as string })), { name: 'TypeError', code })
    t.like(thrown(() => owner.connect({ name: name as string })), { name: 'TypeError', code })
    await t.throwsAsync(processDirectory.lookup(name as string), { instanceOf: TypeError, code })
    await t.throwsAsync(processDirectory.announce(name as string, owner.endpointInfo()), { instanceOf: TypeError, code })
  }
  t.like(thrown(() => owner.connect({ name: 'x', nmae: 'y' } as NamedTarget)), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  for (const directory of [null, 1, {}, { announce() {} }, { lookup() {} }]) {
    t.like(thrown(() => TcpEndpoint.listen({ directory: directory as unknown as Directory })), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('an endpoint that is announced when its regions are made is found with them', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const reader = await TcpEndpoint.listen()
  t.teardown(() => reader.close())
  const reading = reader.connect({ name: 'announced-late' }).then((peer) => peer.readTensor('state', { dtype: 'uint8' }))
  endpoint.publish('state', Uint8Array.of(7))
  const announcement = await endpoint.announce('announced-late')
  t.is(endpoint.announcement, announcement)
  t.deepEqual((await reading).data, Uint8Array.of(7))
  t.throws(() => endpoint.announce(''), { instanceOf: TypeError })
  await endpoint.close()
  t.is(await processDirectory.lookup('announced-late'), undefined, 'its close withdraws it')
  t.throws(() => endpoint.announce('announced-late'), { code: 'ERR_CLOSED' })
})
