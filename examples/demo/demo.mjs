/**
 * `npm run demo`: a second process holds a model in memory and blocks its own event loop in bursts, as running the
 * model would. This one reads and writes that memory, checks every byte, and compares with what Node has built in.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { TcpEndpoint } from 'memlane'

import * as ipc from '../../bench/contenders/ipc.mjs'
import * as nodeNet from '../../bench/contenders/node-net.mjs'
import { caller } from '../../bench/support/channel.mjs'
import { commandLine } from '../../bench/support/command-line.mjs'
import { liveLine } from '../../bench/support/live.mjs'
import { ended } from '../../bench/support/spawn.mjs'
import { askForHash, Mismatch, PIECE_BYTES, readInPieces, readWhole, writeBack } from './check.mjs'
import { compare } from './compare.mjs'
import { comparison, conclusion, size } from './report.mjs'

const HELP = `npm run demo -- [options]

  --file PATH   publish this file instead of a model
  --json        one JSON document on stdout and nothing else (npm has lines of its own: npm run --silent demo -- --json)
  --tamper      turn over one bit in the target's memory, to see the check fail
  --help        this text

Exit status: 0 when every byte arrived as it left, else 1.
`

const options = commandLine('demo', {
  file: { type: 'string' },
  json: { type: 'boolean', default: false },
  tamper: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
})

if (options.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main() {
  const say = options.json ? () => {} : (text = '') => console.log(text)
  const live = liveLine()
  const target = fork(fileURLToPath(new URL('./target.mjs', import.meta.url)), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupted(target, live, signal))

  const result = { verified: false, file: null, bytes: 0, rows: [] }
  const undo = []
  try {
    await run(target, result, { say, live, undo })
  } catch (error) {
    live.clear()
    console.error(`demo: ${error instanceof Mismatch ? `mismatch: ${error.message}` : error.message}`)
    result.verified = false
  } finally {
    for (const close of undo.reverse()) await close().catch(() => {})
    if (target.connected) target.disconnect()
    await ended(target)
  }
  if (options.json) console.log(JSON.stringify(result))
  return result.verified ? 0 : 1
}

async function run(target, result, { say, live, undo }) {
  const call = caller(target, 'the target process')
  const model = await call('serve', { file: options.file, tamper: options.tamper })
  result.file = model.name
  result.bytes = model.bytes
  say('memlane: one process reads and writes the memory of another\n')
  say(`  target    process ${target.pid} holds ${model.about}, ${size(model.bytes)}`)

  const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
  undo.push(() => endpoint.close())
  const peer = await endpoint.connect(model.info)
  const scratch = endpoint.alloc('scratch', model.bytes)
  const net = await nodeNet.dial({ address: model.netAddress, bytes: model.bytes })
  undo.push(() => net.close())
  const links = {
    'child_process IPC': await ipc.dial({ bytes: model.bytes, channel: target }),
    'node:net': net,
    memlane: {
      memory: new Uint8Array(scratch.buffer),
      read: (offset, length) => peer.read('model', { into: scratch, intoOffset: offset, remoteOffset: offset, length }),
    },
  }

  live.show('checking every byte')
  await prove({ endpoint, peer, scratch, links, call, say, live, bytes: model.bytes })
  result.verified = true

  result.rows = await compare(links, model.bytes, (busy) => call('busy', busy), (text, share) => {
    live.show(`${Math.round(share * 100)} %  reading by ${text}`)
  })
  live.clear()
  say(`\n  Reads of ${size(Math.min(PIECE_BYTES, model.bytes))}, one at a time. Busy: the target's event loop is`)
  say('  blocked for 300 ms of every 310, and a transport that needs it reads in the gaps.\n')
  say(comparison(result.rows).join('\n'))
  say(`\n${conclusion(result.rows)}`)
}

async function prove({ endpoint, peer, scratch, links, call, say, live, bytes }) {
  const tell = (text) => {
    live.clear()
    say(text)
  }
  const hash = await askForHash(endpoint, peer)
  tell(`  message   asked for its SHA-256, answered ${hash.slice(0, 16)}…`)
  await readWhole(peer, scratch, hash)
  tell(`  read      ${size(bytes)} at once: SHA-256 is the same on both sides`)
  await call('busy', true)
  for (const [transport, link] of Object.entries(links)) {
    const pieces = await readInPieces(link, bytes, hash, transport)
    tell(`  read      ${pieces} pieces by ${transport}, the target's event loop blocked: the same`)
  }
  await call('busy', false)
  await writeBack(peer, scratch, () => call('inboxHash'))
  tell(`  write     ${size(bytes)} into a second region: SHA-256 is the same on both sides`)
}

function interrupted(target, live, signal) {
  live.clear()
  target.kill('SIGKILL')
  process.exit(signal === 'SIGINT' ? 130 : 143)
}
