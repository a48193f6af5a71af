import { fork, type ChildProcess } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { TcpEndpoint, type MemoryRegion, type Peer } from '../../../index.js'
import { Caller, letGo } from '../calls.js'
import { command } from '../command.js'
import { CliError } from '../failure.js'
import { harmless, type Screen } from '../screen.js'
import { sizeText } from '../units.js'
import { hanging } from '../wrap.js'
import { compare } from './compare.js'
import { dialIpc } from './ipc.js'
import type { Link } from './link.js'
import { dialNet } from './node-net.js'
import { askForHash, PIECE_BYTES, readInPieces, readWhole, writeBack } from './prove.js'
import { comparison, conclusion } from './report.js'
import type { Offer, Wish } from './offer.js'

export const demo = command({
  name: 'demo',
  summary: 'Shows in ten seconds what memlane does: reads the memory of a process that is busy, and compares',
  usage: '[options]',
  names: [0, 0],
  options: {
    file: { type: 'string', value: 'FILE', help: 'what the other process holds; without it, 10 MiB of made-up bytes' },
    tamper: { type: 'boolean', default: false, help: "turns over one bit in the other process's memory, to see the check fail" },
  },
  examples: ['memlane demo', 'memlane demo --file model.onnx'],
  notes: ['It forks a process, talks to it over loopback alone, and exits with 4 when a byte did not arrive as it left.'],
  async run({ values: { file, tamper }, screen, signal }) {
    if (file !== undefined) checkFile(file)
    const child = fork(join(__dirname, 'target.js'), [], { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const undo: (() => Promise<void>)[] = []
    try {
      await play(child, { file: file === undefined ? undefined : resolve(file), tamper }, { screen, signal, undo })
    } catch (error) {
      if (signal.aborted) screen.note('interrupted: what stands above is all that was done')
      throw error
    } finally {
      for (const close of undo.reverse()) await close().catch(() => {})
      await letGo(child)
    }
  },
})

function checkFile(path: string): void {
  accessSync(path, constants.R_OK)
  const stats = statSync(path)
  if (!stats.isFile()) throw new CliError(`${path} is no file`)
  if (stats.size === 0) throw new CliError(`${path} is empty, and a region has at least one byte`)
}

const HEADING = 'memlane: one process reads and writes the memory of another'
const BUSY = "the target's event loop is blocked for 300 ms of every 310, and a transport that needs it reads in the gaps."

/** Says a text behind what leads it. */
type Tell = (lead: string, text: string) => void

function teller(screen: Screen): Tell {
  return (lead, text) => {
    for (const line of hanging(lead, text, screen.columns)) screen.line(line)
  }
}

interface Stage {
  screen: Screen
  signal: AbortSignal
  /** What is to be closed, last first. */
  undo: (() => Promise<void>)[]
}

async function play(child: ChildProcess, wish: Wish, { screen, signal, undo }: Stage): Promise<void> {
  const caller = new Caller(child)
  const { file, bytes, info, netPort } = await caller.call<Offer>('serve', wish)
  const tell = teller(screen)
  for (const line of hanging('', HEADING, screen.columns)) screen.line(line.replace('memlane', (name) => screen.styled('bold', name)))
  screen.line()
  tell('  target    ', `process ${child.pid} holds ${harmless(file ?? 'made-up bytes')}, ${sizeText(bytes)}`)

  const endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
  undo.push(() => endpoint.close())
  const peer = await endpoint.connect(info, { signal })
  const scratch = endpoint.alloc('scratch', bytes)
  const net = await dialNet(netPort, bytes)
  undo.push(() => net.close())
  const links: Record<string, Link> = { 'child_process IPC': dialIpc(child, bytes), 'node:net': net, memlane: linkOf(peer, scratch) }

  await prove({ endpoint, peer, scratch, links, caller, screen, tell, bytes, signal })
  const rows = await compare(links, bytes, {
    setBusy: (busy) => caller.call('busy', busy),
    tell: (text, share) => screen.live(`${Math.round(share * 100)} %  reading by ${text}`),
    signal,
  })
  screen.line()
  tell('  ', `Reads of ${sizeText(Math.min(PIECE_BYTES, bytes))}, one at a time. Busy: ${BUSY}`)
  screen.line()
  for (const line of comparison(rows, screen.columns)) screen.line(line)
  screen.line()
  tell('', conclusion(rows))
  screen.document({ verified: true, file, bytes, rows })
}

function linkOf(peer: Peer, scratch: MemoryRegion): Link {
  return {
    memory: new Uint8Array(scratch.buffer),
    read: (offset, length) => peer.read('model', { into: scratch, intoOffset: offset, remoteOffset: offset, length }),
    close: async () => {},
  }
}

interface Proof {
  endpoint: TcpEndpoint
  peer: Peer
  scratch: MemoryRegion
  links: Readonly<Record<string, Link>>
  caller: Caller
  screen: Screen
  tell: Tell
  bytes: number
  signal: AbortSignal
}

async function prove({ endpoint, peer, scratch, links, caller, screen, tell, bytes, signal }: Proof): Promise<void> {
  screen.live('checking every byte')
  const hash = await askForHash(endpoint, peer)
  tell('  message   ', `asked for its SHA-256, answered ${hash.slice(0, 16)}…`)
  await readWhole(peer, scratch, hash)
  tell('  read      ', `${sizeText(bytes)} at once: SHA-256 is the same on both sides`)
  await caller.call('busy', true)
  for (const [transport, link] of Object.entries(links)) {
    signal.throwIfAborted()
    screen.live(`reading by ${transport}`)
    const pieces = await readInPieces(link, bytes, hash, transport)
    tell('  read      ', `${pieces} pieces by ${transport}, target busy: the same`)
  }
  await caller.call('busy', false)
  await writeBack(peer, scratch, () => caller.call<string>('inboxHash'))
  tell('  write     ', `${sizeText(bytes)} into a second region: SHA-256 is the same on both sides`)
}
