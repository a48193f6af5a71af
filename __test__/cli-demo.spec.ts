import { join } from 'node:path'
import test from 'ava'
import type * as reportRoom from '../dist/src/cli/demo/report'
import { run, Running } from './support/cli.js'
import { root } from './support/error-table'
import { file, folder } from './support/files.js'

const { comparison } = require(join(root, 'dist/src/cli/demo/report.js')) as typeof reportRoom

interface Shown {
  verified: boolean
  file: string | null
  bytes: number
  rows: { transport: string; target: string; throughput_gbps: number; p50_ms: number; p99_ms: number }[]
}

test('the demo checks every byte and compares three transports, idle and busy', async (t) => {
  const { status, stdout, stderr } = await run('demo', '--json')
  t.is(stderr, '')
  t.is(status, 0)
  const { verified, file: name, bytes, rows } = JSON.parse(stdout) as Shown
  t.like({ verified, name, bytes }, { verified: true, name: null, bytes: 10 << 20 })
  const cells = rows.map(({ transport, target }) => `${transport}, ${target}`)
  const transports = ['child_process IPC', 'node:net', 'memlane']
  t.deepEqual(cells, transports.flatMap((transport) => [`${transport}, idle`, `${transport}, busy`]))
  t.true(rows.every(({ throughput_gbps, p50_ms, p99_ms }) => throughput_gbps > 0 && p50_ms > 0 && p99_ms >= p50_ms))
})

test('the demo with one bit of the target turned over tells of the mismatch and exits with 4', async (t) => {
  const { status, stdout, stderr } = await run('demo', '--tamper', '--file', file(t, Buffer.alloc(5000, 'memlane')))
  t.is(status, 4)
  t.regex(stdout, /holds file-\d+, 4\.88 KiB/)
  t.regex(stderr, /^memlane demo: mismatch: the region read whole has SHA-256 [0-9a-f]{64}, not [0-9a-f]{64}\n$/)
})

test('the demo with a file that is none says so in a line', async (t) => {
  const here = folder(t)
  for (const [path, why] of [
    [`${here}/none`, 'no such file or folder'],
    [here, 'is no file'],
    [file(t, new Uint8Array()), 'is empty, and a region has at least one byte'],
  ] as const) {
    const { status, stderr } = await run('demo', '--file', path)
    t.is(status, 1)
    t.regex(stderr, new RegExp(`^memlane demo: ${path}:? ${why}\n$`))
  }
})

test('the demo fits 80 columns, and with the locale C all of it is ASCII', async (t) => {
  const { status, stdout } = await new Running(['demo', '--file', file(t, Buffer.alloc(3 << 20, 'memlane'))], { env: { LC_ALL: 'C' } }).ended
  t.is(status, 0)
  t.deepEqual(stdout.split('\n').filter((line) => line.length > 80), [])
  t.regex(stdout, /^[\u0020-\u007e\n]*$/)
  t.regex(stdout, /answered [0-9a-f]{16}\.\.\.\n/)
})

test('where the screen is narrow the figures of a busy target stand below those of an idle one', (t) => {
  const rows = (['idle', 'busy'] as const).map((target) => ({ transport: 'memlane', target, throughput_gbps: 1, p50_ms: 2, p99_ms: 3 }))
  t.is(comparison(rows, 80).length, 3)
  const narrow = comparison(rows, 79)
  t.is(narrow.length, 7)
  t.true(narrow.every(({ length }) => length <= 50), narrow.join('\n'))
})
