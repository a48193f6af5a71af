import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import test from 'ava'
import { header, preface, RawConnection, READ } from './support/raw'

const PROGRAM = `
  const { TcpEndpoint } = require('memlane')
  void (async () => {
    const target = await TcpEndpoint.listen()
    const initiator = await TcpEndpoint.listen()
    const region = target.alloc('weights', 8, { access: 'read' })
    target.alloc('evil\\x1b[2J\\nfake \\u009b\\u202e', 8)
    const peer = await initiator.connect('tcp://127.0.0.1:' + target.port)
    await peer.read('weights')
    await peer.close()
    await initiator.connect('tcp://127.0.0.1:1').catch(() => {})
    await initiator.connect({ host: '\\x1b[31m' + 'x'.repeat(70), port: 7, mr_info: {} }).catch((error) => error)
    await region.close()
    await initiator.close()
    await target.close()
  })()`

function logged(filter: string | undefined, program = PROGRAM): string {
  const { MEMLANE_LOG: _, ...env } = process.env
  if (filter !== undefined) env.MEMLANE_LOG = filter
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', env, timeout: 30_000 })
  if (status !== 0 || stdout !== '') throw new Error(`${status}: ${stdout}${stderr}`)
  return stderr
}

test('nothing is logged by default', (t) => {
  t.is(logged(undefined), '')
  t.is(logged(''), '')
  t.is(logged('off'), '')
})

test('MEMLANE_LOG=debug tells what becomes of endpoints, regions and connections, a line each', (t) => {
  const lines = logged('debug').trimEnd().split('\n')
  for (const line of lines) t.regex(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (ERROR|WARN |INFO |DEBUG) memlane::[a-z_:]+ \S/)
  for (const expected of [
    / INFO {2}memlane::endpoint listening address=127\.0\.0\.1:\d+$/,
    / DEBUG memlane::region::registry region allocated name=weights length=8 access=read$/,
    / DEBUG memlane::lane dialling peer=127\.0\.0\.1:\d+$/,
    / DEBUG memlane::endpoint connection accepted peer=127\.0\.0\.1:\d+$/,
    / DEBUG memlane::session::greeting session opened peer=127\.0\.0\.1:\d+ wire=Native$/,
    / DEBUG memlane::lane lane open peer=127\.0\.0\.1:\d+ wire=Native$/,
    / DEBUG memlane::session session ended peer=127\.0\.0\.1:\d+ reason=closed$/,
    / DEBUG memlane::lane lane ended peer=127\.0\.0\.1:\d+ reason=local /,
    / DEBUG memlane::lane not connected peer=127\.0\.0\.1:1 error=no connection to the peer: /,
    / DEBUG memlane::region::registry region closed name=weights$/,
    / INFO {2}memlane::endpoint endpoint closed address=127\.0\.0\.1:\d+$/,
  ]) {
    t.true(lines.some((line) => expected.test(line)), `${expected} is in none of\n${lines.join('\n')}`)
  }
})

test('names and addresses that a stranger chose are logged without what steers a terminal', (t) => {
  const log = logged('debug')
  t.true(log.includes('name=evil\\u{1b}[2J\\nfake \\u{9b}\\u{202e} length=8'), log)
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  t.notRegex(log, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/)
  for (const line of log.trimEnd().split('\n')) t.regex(line, /^\d{4}-/)
})

test('a level for one part of the engine leaves the others as they are', (t) => {
  const log = logged('off,lane=debug')
  t.regex(log, /memlane::lane /)
  t.notRegex(log, /memlane::(session|endpoint|region)/)
  t.notRegex(logged('info'), / (DEBUG|TRACE) /)
})

test('a filter that is none is told, once, and logs nothing', (t) => {
  const log = logged('loud\x1b')
  t.regex(log, /MemlaneWarning: MEMLANE_LOG: "loud\\u\{1b\}" is no level\./)
  t.notRegex(log, /memlane::/)
})

test('workers share the log of the process, and a second copy of the addon does no harm', (t) => {
  const log = logged(
    'info',
    `
    const { Worker, isMainThread } = require('node:worker_threads')
    const { copyFileSync, mkdtempSync, readdirSync, rmSync } = require('node:fs')
    const { dirname, join } = require('node:path')
    const { TcpEndpoint } = require('memlane')
    void (async () => {
      await (await TcpEndpoint.listen()).close()
      const root = dirname(require.resolve('memlane/package.json'))
      const worker = "require('memlane').TcpEndpoint.listen().then((endpoint) => endpoint.close())"
      await Promise.all([1, 2].map(() => new Promise((resolve) => new Worker(worker, { eval: true }).on('exit', resolve))))
      const folder = mkdtempSync(join(require('node:os').tmpdir(), 'memlane-'))
      const [binary] = readdirSync(root).filter((file) => /^memlane\\..*\\.node$/.test(file))
      const copy = join(folder, 'copy.node')
      copyFileSync(join(root, binary), copy)
      const second = require(copy)
      if (second.startLog('info') !== null || second.startLog('debug') !== null) throw new Error('refused')
      rmSync(folder, { recursive: true })
    })()`
  )
  t.is(log.match(/listening address=/g)?.length, 3, log)
  t.is(log.match(/endpoint closed/g)?.length, 3, log)
})

test('what a hostile peer does is told once a minute for its host, without its payload', async (t) => {
  const program = `
    const { TcpEndpoint } = require('memlane')
    TcpEndpoint.listen({ maxConnections: 1 }).then((endpoint) => {
      console.log(endpoint.port)
      process.stdin.once('data', () => endpoint.close().then(() => process.exit(0)))
    })`
  const child = spawn(process.execPath, ['-e', program], { env: { ...process.env, MEMLANE_LOG: 'warn' }, stdio: 'pipe' })
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr.on('data', (text: Buffer) => {
    log += text.toString()
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const port = Number((await lines.next()).value)
  const says = async (bytes: Buffer) => {
    const connection = await RawConnection.open(port)
    connection.write(bytes)
    await connection.rest()
    connection.destroy()
  }
  const secret = Buffer.from('\x1b]0;owned\x07 secret payload')
  for (let round = 0; round < 5; round++) {
    await says(Buffer.concat([preface(), header(99, 0x73656372, 0x1b5b324a), secret]))
    await says(Buffer.concat([header(READ, 1, 1), secret]))
    await says(Buffer.concat([preface({ lowest: 9, highest: 9 }), secret]))
  }
  const first = await RawConnection.native(port)
  for (let round = 0; round < 5; round++) await (await RawConnection.open(port)).rest()
  first.end()
  child.stdin.write('end\n')
  await once(child, 'exit')
  const warnings = log.trimEnd().split('\n').map((line) => line.replace(/^\S+ /, '').replace(/:\d+/, ':0'))
  t.deepEqual(warnings.sort(), [
    'WARN  memlane::peers connection refused peer=127.0.0.1:0 why=maxConnections or maxConnectionsPerSource is reached',
    'WARN  memlane::peers legacy connection closed peer=127.0.0.1:0 why=no_such_region',
    'WARN  memlane::peers protocol error peer=127.0.0.1:0 why=a request that makes no sense',
  ])
  t.false(log.includes('secret') || log.includes('owned'))
})
