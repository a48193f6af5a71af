import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import { TcpEndpoint } from 'memlane'
import { CLI, run, serving } from './support/cli.js'
import { where } from './support/linux.js'
import { files } from './support/weights.js'

test('pull goes on when nobody reads what it says: all files are there', async (t) => {
  const names = Array.from({ length: 200 }, (_, index) => `f${index}`)
  const folder = files(t, Object.fromEntries(names.map((name) => [name, Buffer.from(name)])))
  const { url } = await serving(t, ...names.map((name) => join(folder, name)))
  const child = spawn(process.execPath, [CLI, 'pull', url, '-o', join(folder, 'out')], { stdio: ['ignore', 'pipe', 'ignore'] })
  child.stdout.destroy()
  t.deepEqual(await once(child, 'exit'), [0, null])
  t.deepEqual(readdirSync(join(folder, 'out')).filter((name) => !name.startsWith('.')).sort(), [...names].sort())
})

const onFull = where(existsSync('/dev/full'), test, 'there is no /dev/full here')

for (const stream of ['stdout', 'stderr'] as const) {
  onFull(`a full disk under ${stream} is told where that can be, and the status is right`, async (t) => {
    const endpoint = await TcpEndpoint.listen()
    t.teardown(() => endpoint.close())
    const full = openSync('/dev/full', 'w')
    t.teardown(() => closeSync(full))
    const args = stream === 'stdout' ? ['ping', `127.0.0.1:${endpoint.port}`] : ['ping', 'nowhere']
    const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', stream === 'stdout' ? full : 'pipe', stream === 'stderr' ? full : 'pipe'] })
    let said = ''
    for (const one of [child.stdout, child.stderr]) one?.setEncoding('utf8').on('data', (text: string) => (said += text))
    const [status] = (await once(child, 'close')) as [number]
    if (stream === 'stdout') {
      t.is(status, 1)
      t.regex(said, /^memlane: standard output: the disk is full[^\n]*\n$/)
    } else {
      t.is(status, 2)
      t.is(said, '')
    }
  })
}

test('a port that no peer can have makes no sense', async (t) => {
  for (const word of ['127.0.0.1:99999', '127.0.0.1:0', 'tcp://127.0.0.1:65536', 'tcp://[::1]:0']) {
    const { status, stderr } = await run('ping', word)
    t.is(status, 2, word)
    t.regex(stderr, /^memlane ping: [^\n]*its port has to be from 1 to 65535[^\n]*\n$/)
  }
})

test('help COMMAND is what COMMAND --help is', async (t) => {
  t.deepEqual(await run('help', 'pull'), await run('pull', '--help'))
  t.is((await run('help', 'nosuch')).status, 2)
})

test('what stands in the way is named: a folder for a token, a port for metrics, a host that is none', async (t) => {
  const folder = files(t, { f: Buffer.from('x') })
  mkdirSync(join(folder, 'sub'))
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const taken = String((server.address() as AddressInfo).port)
  for (const [args, said] of [
    [['--token-file', join(folder, 'sub')], `${join(folder, 'sub')}: is a folder`],
    [['--metrics-port', taken], `--metrics-port ${taken}: the port is taken`],
    [['--metrics-port', '0', '--metrics-host', 'nosuch.invalid'], '--metrics-host nosuch.invalid: is no address of this machine'],
  ] as const) {
    const { status, stderr } = await run('serve', join(folder, 'f'), ...args)
    t.is(status, 1)
    t.true(stderr.startsWith(`memlane serve: ${said}`), stderr)
    t.is(stderr.split('\n').length, 2)
  }
})

test('characters that nobody sees are shown', async (t) => {
  const { stderr } = await run('no\u200bsuch\u200f\ufeff')
  t.true(stderr.startsWith('memlane no\\u200bsuch\\u200f\\ufeff: '), stderr)
})
