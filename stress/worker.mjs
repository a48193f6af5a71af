/**
 * A loop in a worker thread: reads that block it and messages, until it is terminated in the middle of one. It shares the
 * process's context, whose lanes have to go on for the others.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { TcpEndpoint } from 'memlane'
import { FACTS_BYTES, mark, WORKER } from './layout.mjs'
import { explain, pattern, same } from './pattern.mjs'
import { messageBytes } from './plan.mjs'
import { Random } from '../bench/support/random.mjs'
import { TAGS } from './operations/messages.mjs'

const { seed, process: self, ports, incarnation, options, pauseMs } = workerData
const ALLOWED = [...(pauseMs === undefined ? [] : ['ERR_TIMEOUT']), 'ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_REGION_NOT_FOUND', 'ERR_NO_RECEIVE', 'ERR_MESSAGE_SIZE']
/** So many messages at most each incarnation sends: their numbers are its own. */
const NUMBERS = 1 << 16

const endpoint = await TcpEndpoint.listen(options)
const peers = new Map()

for (let turn = 0; turn < NUMBERS; turn++) {
  const random = new Random(seed, ports.length, self, WORKER, incarnation, turn)
  const number = random.below(ports.length)
  const range = random.range(FACTS_BYTES, 256 << 10)
  const sending = random.once(4)
  try {
    let peer = peers.get(number)
    if (peer === undefined) {
      peer = endpoint.connect(`tcp://127.0.0.1:${ports[number]}`).waitSync()
      peers.set(number, peer)
    }
    if (sending) send(peer, number, incarnation * NUMBERS + turn)
    else look(peer.read('facts', { remoteOffset: range.offset, length: range.length }).waitSync(), number, range)
    count(sending, 'ok')
  } catch (error) {
    if (!ALLOWED.includes(error.code)) tell({ failure: error.stack })
    count(sending, error.code)
  }
  // A turn of the loop, in which a worker may be terminated as well as in a wait.
  await (pauseMs === undefined ? new Promise(setImmediate) : delay(pauseMs))
}

function send(peer, number, operation) {
  const mine = mark(self, WORKER, number, 'message')
  peer.send(pattern(mine, operation, 0, messageBytes(mine, operation)), { tag: TAGS.message }).waitSync()
}

function look(bytes, number, { offset, length }) {
  const expected = pattern(mark(number, 0, number, 'facts'), 1, offset, length)
  // A region that was made a moment ago may be zeros still.
  if (same(bytes, expected) || bytes.every((byte, at) => byte === 0 || byte === expected[at])) return
  tell({ failure: `worker of process ${self}, facts of process ${number}: ${explain(bytes, expected, offset)}` })
}

function count(sending, result) {
  tell({ kind: sending ? 'worker send' : 'worker read', result })
}

function tell(message) {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
  parentPort.postMessage(message)
}
