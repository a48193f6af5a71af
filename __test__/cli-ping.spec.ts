import test from 'ava'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { TcpEndpoint } from 'memlane'
import { run, Running } from './support/cli.js'

interface Answers {
  peer: string
  wire: string
  asked: number
  lost: number
  answers_ms: number[]
}

test('ping asks as often as it is told and tells each answer', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const { status, stdout } = await run('ping', '--count', '3', '--interval', '0', `tcp://127.0.0.1:${endpoint.port}`)
  t.is(status, 0)
  t.is(stdout.match(/^ {2}answer \d after /gm)?.length, 3)
  t.regex(stdout, /^3 of 3 answered: shortest .+, median .+, longest .+$/m)
})

test('ping --json is one document', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const { status, stdout } = await run('ping', '--json', '--count', '2', '--interval', '0', `127.0.0.1:${endpoint.port}`)
  t.is(status, 0)
  const { peer, wire, asked, lost, answers_ms } = JSON.parse(stdout) as Answers
  t.like({ peer, wire, asked, lost }, { peer: `127.0.0.1:${endpoint.port}`, wire: 'native', asked: 2, lost: 0 })
  t.is(answers_ms.length, 2)
})

test('ping goes on until Ctrl-C, then says what it had', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const pinging = new Running(['ping', '--count', '0', '--interval', '0.01', `127.0.0.1:${endpoint.port}`])
  await pinging.said(/answer 3 after/)
  pinging.child.kill('SIGINT')
  const { status, stdout, stderr } = await pinging.ended
  t.is(status, 130)
  t.is(stderr, '')
  t.regex(stdout, /^(\d+) of \1 answered: /m)
})

test('ping says so when a peer that was there no longer answers, and exits with 3', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  const pinging = new Running(['ping', '--count', '0', '--interval', '0.01', '--timeout', '0.5', `127.0.0.1:${endpoint.port}`])
  await pinging.said(/answer 1 after/)
  await endpoint.close({ drainMs: 0 })
  await pinging.said(/question \d+: /)
  pinging.child.kill('SIGINT')
  const { status, stderr } = await pinging.ended
  t.is(status, 130)
  t.regex(stderr, /^memlane ping: \d+ of \d+ questions had no answer\n$/)
})

test('ping with a wrong token is told so at once', async (t) => {
  const endpoint = await TcpEndpoint.listen({ token: 'a secret of sixteen bytes' })
  t.teardown(() => endpoint.close())
  const { status, stderr } = await run('ping', `127.0.0.1:${endpoint.port}`)
  t.is(status, 3)
  t.regex(stderr, /^memlane ping: [^\n]*--token-file[^\n]*\n$/)
})

test('inspect lists what a peer publishes, and nothing in a name moves the cursor', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  endpoint.alloc('weights', { dtype: 'float32', shape: [10, 100], access: 'read' })
  endpoint.alloc('a\u001b[2Jb', 4096, { access: 'write' })
  endpoint.alloc('hidden', 4096)
  const { status, stdout } = await run('inspect', `tcp://127.0.0.1:${endpoint.port}`)
  t.is(status, 0)
  t.regex(stdout, /speaks the native wire\n {2}2 regions, 7\.91 KiB\n/)
  t.regex(stdout, /^ {2}weights +float32 +\[10, 100\] +3\.91 KiB +read$/m)
  t.regex(stdout, /^ {2}a\\u001b\[2Jb +4\.00 KiB +write$/m)
  t.false(stdout.includes('hidden') || stdout.includes('\u001b'))
})

test('inspect --json has the regions as the peer described them', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  endpoint.alloc('weights', { dtype: 'float32', shape: [10, 100], access: 'read' })
  const { stdout } = await run('inspect', '--json', `tcp://127.0.0.1:${endpoint.port}`)
  t.deepEqual(JSON.parse(stdout), {
    peer: `127.0.0.1:${endpoint.port}`,
    wire: 'native',
    regions: [{ name: 'weights', length: 4000, dtype: 'float32', shape: [10, 100], access: 'read' }],
  })
})

test('inspect and ping say the same of something that answers otherwise than a peer', async (t) => {
  const server = createHttpServer(() => {}).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const where = `127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const command of ['ping', 'inspect']) {
    const { status, stdout, stderr } = await run(command, where)
    t.is(status, 1)
    t.is(stdout, '')
    t.regex(stderr, new RegExp(`^memlane ${command}: [^\\n]*what answers there is no memlane endpoint\\n$`))
  }
  const { stdout } = await run('inspect', '--json', where)
  t.is((JSON.parse(stdout) as { error: { code: string } }).error.code, 'ERR_PROTOCOL')
})

test('inspect says how many of the regions are of a serve itself', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  for (const name of ['.memlane/manifest', '.memlane/sums', 'weights']) endpoint.alloc(name, 4096, { access: 'read' })
  const { stdout } = await run('inspect', `127.0.0.1:${endpoint.port}`)
  t.regex(stdout, /^ {2}3 regions, 12\.0 KiB; 2 of them memlane's own \(\.memlane\/\)\n\n/m)
})

test('with the locale C ping and inspect are ASCII, and a name is escaped', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  endpoint.alloc('größe', 4096, { access: 'read' })
  const [pinged, inspected, plain] = await Promise.all([
    new Running(['ping', '--count', '20', '--interval', '0', `127.0.0.1:${endpoint.port}`], { env: { LC_ALL: 'C' } }).ended,
    new Running(['inspect', `127.0.0.1:${endpoint.port}`], { env: { LC_ALL: 'C' } }).ended,
    new Running(['inspect', `127.0.0.1:${endpoint.port}`], { env: { LC_ALL: 'C.UTF-8' } }).ended,
  ])
  t.regex(pinged.stdout, /^[\u0020-\u007e\n]+ us[\u0020-\u007e\n]+$/)
  t.regex(inspected.stdout, /^ {2}gr\\u00f6\\u00dfe +4\.00 KiB +read$/m)
  t.regex(plain.stdout, /^ {2}größe +4\.00 KiB +read$/m)
})

test('inspect of something that takes connections and says nothing tells that it is not the native wire', async (t) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { status, stdout } = await run('inspect', `127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.is(status, 0)
  t.regex(stdout, /speaks the legacy wire, or something else than memlane's/)
  const json = await run('inspect', '--json', `127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.like(JSON.parse(json.stdout), { wire: 'unknown', regions: [] })
})
