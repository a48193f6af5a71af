// What a future comes to stays, whatever a program puts in its way: objects of its own making, and globals that it replaces.
import { spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import test, { type ExecutionContext } from 'ava'
import { DIAGNOSTICS_CHANNELS, type Directory, type MemlaneError, type PeerInfo } from 'memlane'
import { endpoint, pair } from './support/pair'
import { Silent } from './support/pair-silent'

const collect = (globalThis as unknown as { gc(): void }).gc

/** What a program says in a process of its own, with an endpoint `endpoint`, its region `x` of 8 sevens, and a `peer` for it. */
function told(t: ExecutionContext, program: string): string[] {
  const text = `
    const { TcpEndpoint, DIAGNOSTICS_CHANNELS } = require('memlane')
    const timers = require('node:timers')
    process.on('uncaughtException', (error) => console.log('told:', error.message))
    const turn = setImmediate
    void (async () => {
      const endpoint = await TcpEndpoint.listen()
      new Uint8Array(endpoint.alloc('x', 8, { access: 'read' }).buffer).fill(7)
      const peer = await endpoint.connect('tcp://127.0.0.1:' + endpoint.port)
      const into = endpoint.alloc('into', 8)
      await peer.refresh()
      ${program}
      turn(() => process.exit())
    })()
  `
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, ['-e', text], { encoding: 'utf8', timeout: 20_000 })
  t.deepEqual({ status, signal }, { status: 0, signal: null }, stdout + stderr)
  return stdout.trimEnd().split('\n')
}

test('an operation that has its value keeps it when the signal that it followed breaks in that moment', (t) => {
  const lines = told(
    t,
    `
      const { signal } = new AbortController()
      signal.removeEventListener = () => { throw new Error('broken by the program') }
      const read = peer.read('x', { signal })
      const early = read.wait()
      console.log('sync', read.waitSync(10)[0])
      console.log('early', (await early)[0])
      console.log('late', (await read.wait())[0], (await read)[0], (await read.waitFor(1))[0], read.waitSync()[0])
      await new Promise(setImmediate)
    `
  )
  t.deepEqual(lines, ['sync 7', 'early 7', 'late 7 7 7 7', 'told: broken by the program'])
})

test('an operation keeps its value when a subscriber has frozen what is told of it', (t) => {
  const lines = told(
    t,
    `
      require('node:diagnostics_channel').subscribe(DIAGNOSTICS_CHANNELS.start, Object.freeze)
      const reads = [peer.read('x'), peer.read('x', { into })]
      reads[1].waitSync(10)
      console.log((await reads[0])[0], await reads[1], reads[0].waitSync()[0])
      await new Promise(setImmediate)
    `
  )
  t.is(lines.filter((line) => line === '7 8 7').length, 1, lines.join('\n'))
  t.is(lines.filter((line) => line.startsWith('told: Cannot ')).length, 2, lines.join('\n'))
})

test('an operation whose signal fires while its start is told is cancelled', async (t) => {
  const silent = await Silent.start(t)
  const initiator = await endpoint(t)
  const peer = await initiator.connect(silent.info({ kv: { addr: 0x1000_0000, length: 64 } }))
  const controller = new AbortController()
  const reason = new Error('enough')
  const abort = () => controller.abort(reason)
  subscribe(DIAGNOSTICS_CHANNELS.start, abort)
  t.teardown(() => unsubscribe(DIAGNOSTICS_CHANNELS.start, abort))
  const error = await t.throwsAsync<MemlaneError>(peer.read('kv', { signal: controller.signal, timeoutMs: 5000 }).wait())
  t.is(error?.code, 'ERR_ABORTED')
  t.is(error?.cause, reason)
})

test('timers that a program replaces hold up nothing that has ended', (t) => {
  const lines = told(
    t,
    `
      const never = () => ({ ref() { return this }, unref() { return this } })
      for (const holder of [globalThis, timers]) {
        for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate']) holder[name] = never
      }
      // More than one turn takes.
      const reads = Array.from({ length: 5000 }, () => peer.read('x', { into }))
      console.log((await Promise.all(reads)).length)
    `
  )
  t.deepEqual(lines, ['5000'])
})

test('waitSync waits by a clock that a program cannot stop', (t) => {
  const lines = told(
    t,
    `
      const now = performance.now.bind(performance)
      const began = now()
      Date.now = () => 0
      performance.now = () => 0
      globalThis.performance = { now: () => 0 }
      globalThis.Date = class extends Date { constructor() { super(0) } }
      console.log(endpoint.recv(new Uint8Array(8)).waitSync(0.15), now() - began > 140)
    `
  )
  t.deepEqual(lines, ['null true'])
})

test('what a directory answers is taken up to the maxInfoBytes of whoever connects', async (t) => {
  const target = await endpoint(t, { maxInfoBytes: 4 << 20 })
  for (let index = 0; index < 4000; index++) target.alloc(`${index}`.padEnd(250, 'x'), 1, { access: 'read' })
  const info: PeerInfo = target.endpointInfo()
  t.true(JSON.stringify(info).length > 1 << 20)
  const directory: Directory = { announce: () => Promise.reject(new Error('it takes no names')), lookup: () => Promise.resolve(info) }
  const [few, many] = await Promise.all([endpoint(t, { directory }), endpoint(t, { directory, maxInfoBytes: 2 << 20 })])
  const error = await t.throwsAsync<MemlaneError>(few.connect({ name: 'large' }, { timeoutMs: 10_000 }).wait())
  t.regex(`${error?.message} ${(error?.cause as Error | undefined)?.message}`, /at most 1048576 bytes/)
  const peer = await many.connect({ name: 'large' }, { timeoutMs: 10_000 })
  t.is(peer.regions.size, 4000)
})

// By itself: a future of another test would take its place.
test.serial('a result that nobody has any more is collected, also that of the last operation', async (t) => {
  const { target, peer } = await pair(t)
  target.alloc('x', 1 << 20, { access: 'read' })
  // It knows the region: nothing else is begun for the read.
  await peer.refresh()
  const read = async () => new WeakRef(await peer.read('x'))
  const last = await read()
  // Turns of their own: a WeakRef holds its target until the job that made it is over.
  for (let turn = 0; turn < 1000 && last.deref() !== undefined; turn++) {
    await new Promise(setImmediate)
    collect()
  }
  t.is(last.deref(), undefined)
})
