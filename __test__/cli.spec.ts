import test from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { TcpEndpoint } from 'memlane'
import type * as tableRoom from '../dist/src/cli/table'
import type * as wrapRoom from '../dist/src/cli/wrap'
import { run, Running } from './support/cli.js'
import { root } from './support/error-table'

const { tableLines } = require(join(root, 'dist/src/cli/table.js')) as typeof tableRoom
const { hanging } = require(join(root, 'dist/src/cli/wrap.js')) as typeof wrapRoom

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
    const { stdout: help } = await new Running([name, '--help'], { env: { LC_ALL: 'C.UTF-8' } }).ended
    t.true(page.includes(`$ npx memlane ${name} --help\n${help}`), `docs/cli/${name}.md has another help than: ${help}`)
  }
})

test('a text is as wide as the screen at most, and its further lines stand below its first', (t) => {
  t.deepEqual(hanging('  read  ', 'ten pieces by some transport', 20), ['  read  ten pieces', '        by some', '        transport'])
  t.deepEqual(hanging('', 'short', 20), ['short'])
})

const COLUMNS = [{ head: 'region' }, { head: 'dtype' }, { head: 'size', right: true }, { head: 'access' }]
const ROWS = [
  ['model.layers.0.attention.weight', 'bfloat16', '8.00 MiB', 'read'],
  ['x', 'float32', '4 bytes', 'readwrite'],
]
const DISPENSABLE = ['access', 'dtype']

test('a table that is wider than the screen lacks columns, then the middle of names, and never a figure', (t) => {
  const whole = tableLines(COLUMNS, ROWS)
  t.true(whole.some((line) => line.includes('model.layers.0.attention.weight   bfloat16')))
  for (let most = 16; most <= 80; most++) {
    const lines = tableLines(COLUMNS, ROWS, { most, dispensable: DISPENSABLE })
    t.true(lines.every((line) => line.length <= most), `${most}: ${lines.join('\n')}`)
    t.true(lines[1]?.includes('8.00 MiB') && lines[2]?.includes('4 bytes'), `${most}: ${lines.join('\n')}`)
    const room = Math.max(...whole.map(({ length }) => length)) <= most
    t.is(lines[0]?.includes('access'), most >= 52, `${most}`)
    if (room) t.deepEqual(lines, whole)
  }
  t.regex(tableLines(COLUMNS, ROWS, { most: 40, dispensable: DISPENSABLE })[1] ?? '', /^ {2}mode\S+(…|\.\.\.)\S+ght   /)
})

test('with the locale C helps and failures are ASCII, what a failure names escaped', async (t) => {
  const env = { LC_ALL: 'C' }
  const [help, failure] = await Promise.all([new Running(['serve', '--help'], { env }).ended, new Running(['größe'], { env }).ended])
  t.regex(help.stdout, /^[\u0020-\u007e\n]*FILE\.\.\.[\u0020-\u007e\n]*$/)
  t.true(failure.stderr.startsWith('memlane gr\\u00f6\\u00dfe: '), failure.stderr)
})
