import test from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { TcpEndpoint } from 'memlane'
import { run } from './support/cli.js'

test('without a command it lists them on standard error and exits with 2', async (t) => {
  const { status, stdout, stderr } = await run()
  t.is(status, 2)
  t.is(stdout, '')
  t.regex(stderr, /^ {2}ping {2}/m)
})

test('--help lists the commands and exits with 0', async (t) => {
  const { status, stdout, stderr } = await run('--help')
  t.is(status, 0)
  t.regex(stdout, /^ {2}ping {2}/m)
  t.is(stderr, '')
})

for (const args of [['nosuch'], ['constructor'], ['ping'], ['ping', '--nope', 'tcp://127.0.0.1:1'], ['ping', 'nowhere'], ['ping', 'a:1', 'b:2'], ['ping', 'a:1', '--timeout', 'soon']]) {
  test(`${args.join(' ')} makes no sense: one line, and 2`, async (t) => {
    const { status, stdout, stderr } = await run(...args)
    t.is(status, 2)
    t.is(stdout, '')
    t.regex(stderr, /^memlane [^\n]+\n$/)
  })
}

test('a failure is one line without a stack, with --debug the stack, with --json a document too', async (t) => {
  const plain = await run('ping', 'tcp://127.0.0.1:1')
  t.is(plain.status, 3)
  t.regex(plain.stderr, /^memlane ping: connect to 127\.0\.0\.1:1: [^\n]+\n$/)
  const debug = await run('ping', 'tcp://127.0.0.1:1', '--debug')
  t.regex(debug.stderr, /\n +at /)
  const json = await run('ping', 'tcp://127.0.0.1:1', '--json')
  t.is(json.status, 3)
  t.is((JSON.parse(json.stdout) as { error: { code: string } }).error.code, 'ERR_CONNECT')
})

test('ping tells that a peer is up', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const { status, stdout } = await run('ping', `127.0.0.1:${endpoint.port}`)
  t.is(status, 0)
  t.regex(stdout, new RegExp(`^127\\.0\\.0\\.1:${endpoint.port} is up: `))
})

test('the page of each command has its help as it is printed', async (t) => {
  const { stdout } = await run('--help')
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name as string)
  t.true(commands.includes('ping'))
  for (const name of commands) {
    const page = readFileSync(join(__dirname, `../../docs/cli/${name}.md`), 'utf8')
    const { stdout: help } = await run(name, '--help')
    t.true(page.includes(`$ npx memlane ${name} --help\n${help}`), `docs/cli/${name}.md has another help than: ${help}`)
  }
})
