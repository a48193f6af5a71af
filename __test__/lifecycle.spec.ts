import { spawnSync } from 'node:child_process'
import test from 'ava'
import { Child } from './support/child'
import { endpoint } from './support/pair'

test('idle endpoints, regions and peers do not keep the process', async (t) => {
  t.deepEqual(await Child.start(t, 'lifecycle', ['idle']).ended, { code: 0, signal: null, output: 'idle false\n' })
})

test('an idle endpoint that is ref’d keeps the process until it is closed', async (t) => {
  const child = Child.start(t, 'lifecycle', ['held'])
  const { url } = await child.next<{ url: string }>()
  const reader = await endpoint(t)
  const peer = await reader.connect(url)
  t.is((await peer.read('x')).byteLength, 8)
  t.true(child.running)
  await reader.close()
  t.deepEqual(await child.ended, { code: 0, signal: null, output: 'closed\nended true\n' })
})

test('an endpoint that is unref’d or closed keeps no process', async (t) => {
  t.deepEqual(await Child.start(t, 'lifecycle', ['released']).ended, { code: 0, signal: null, output: 'idle false\n' })
})

test('a pending operation keeps the process until it has ended, and no longer', async (t) => {
  const child = Child.start(t, 'lifecycle', ['pending'])
  const { url } = await child.next<{ url: string }>()
  const sender = await endpoint(t)
  const peer = await sender.connect(url)
  t.true(child.running)
  t.is(await peer.send(Buffer.from('hello')), 5)
  t.deepEqual(await child.ended, { code: 0, signal: null, output: 'received hello\n' })
})

test('a cancelled operation does not keep the process', async (t) => {
  t.deepEqual(await Child.start(t, 'lifecycle', ['cancelled']).ended, { code: 0, signal: null, output: 'ERR_ABORTED\n' })
})

test('process.exit with operations under way ends the process with its code', async (t) => {
  for (let round = 0; round < 5; round++) {
    t.deepEqual(await Child.start(t, 'lifecycle', ['exit']).ended, { code: 7, signal: null, output: '' })
  }
})

test('an uncaught error with operations under way ends the process as it ends any', async (t) => {
  const { code, signal, output } = await Child.start(t, 'lifecycle', ['throw']).ended
  t.deepEqual({ code, signal }, { code: 1, signal: null }, output)
  t.regex(output, /thrown on purpose/)
})

test('SIGTERM with operations under way ends the process as it ends any', async (t) => {
  t.like(await Child.start(t, 'lifecycle', ['sigterm']).ended, { code: null, signal: 'SIGTERM' })
})

test('garbage collection of everything that an operation was given does not disturb it', async (t) => {
  t.deepEqual(await Child.start(t, 'lifecycle', ['collect']).ended, { code: 0, signal: null, output: 'collected\n' })
})

test('detaching every buffer that an operation was given does not disturb the process', async (t) => {
  t.deepEqual(await Child.start(t, 'lifecycle', ['detach']).ended, { code: 0, signal: null, output: `detached ${1 << 20}\n` })
})

test('closing everything with operations under way ends each of them, once', async (t) => {
  t.deepEqual(await Child.start(t, 'lifecycle', ['close']).ended, { code: 0, signal: null, output: 'closed 41\n' })
})

test('terminating workers with operations under way leaves the process and its endpoints well', async (t) => {
  const child = Child.start(t, 'worker', ['terminate'])
  const exit = await child.ended
  t.like(exit, { code: 0, signal: null }, exit.output)
  t.deepEqual(await child.next(), { read: [7, 7, 7, 7, 7, 7, 7, 7] })
})

test('process.exit with workers in full swing ends the process with its code', async (t) => {
  for (let round = 0; round < 3; round++) {
    const exit = await Child.start(t, 'worker', ['exit']).ended
    t.like(exit, { code: 3, signal: null }, exit.output)
  }
})

const BREAKING = `
  const { TcpEndpoint } = require('memlane')
  process.on('uncaughtException', (error) => console.log('told:', error.message))
  void (async () => {
    const endpoint = await TcpEndpoint.listen()
    endpoint.alloc('x', 8, { access: 'read' })
    const peer = await endpoint.connect('tcp://127.0.0.1:' + endpoint.port)
    const { signal } = new AbortController()
    signal.removeEventListener = () => { throw new Error('broken by the program') }
    const reads = [peer.read('x'), peer.read('x', { signal }), peer.read('x'), peer.read('x')]
    // All of them end before the loop looks: they are one batch.
    reads[3].waitSync()
    await Promise.all([reads[0], reads[2], reads[3]])
    console.log('ended')
    await endpoint.close()
  })()
`

test('what a program breaks in one operation is told, and the others of its turn end all the same', (t) => {
  const { stdout, status } = spawnSync(process.execPath, ['-e', BREAKING], { encoding: 'utf8', timeout: 20_000 })
  t.deepEqual(stdout.trim().split('\n').sort(), ['ended', 'told: broken by the program'])
  t.is(status, 0)
})

const TWICE = `
  const load = () => {
    for (const file of Object.keys(require.cache)) if (!file.endsWith('.node')) delete require.cache[file]
    return require('memlane')
  }
  void (async () => {
    const copies = [load(), load(), load()]
    if (new Set(copies.map(({ TcpEndpoint }) => TcpEndpoint)).size !== copies.length) throw new Error('one copy')
    const sides = await Promise.all(copies.map(async ({ TcpEndpoint }, index) => {
      const endpoint = await TcpEndpoint.listen()
      const held = new Uint8Array(endpoint.alloc('held', 64, { access: 'readwrite' }).buffer).fill(index + 1)
      const into = endpoint.alloc('into', 64)
      return { endpoint, held, into, peer: await endpoint.connect('tcp://127.0.0.1:' + endpoint.port) }
    }))
    for (let round = 0; round < 3; round++) {
      const reads = sides.flatMap(({ peer, into }) => [peer.read('held', { into }), peer.read('held')])
      const ends = await Promise.all(reads)
      console.log(sides.map(({ into }, index) => [into.copyOut()[63], ends[2 * index], ends[2 * index + 1][63]].join()).join(' '))
      await Promise.all(sides.map(({ peer, into }) => peer.write('held', into)))
    }
    await Promise.all(sides.map(({ endpoint }) => endpoint.close()))
  })()
`

test('copies of the package in one thread each move their own bytes', (t) => {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', TWICE], { encoding: 'utf8', timeout: 20_000 })
  t.is(stdout, '1,64,1 2,64,2 3,64,3\n'.repeat(3), stderr)
  t.is(status, 0)
})
