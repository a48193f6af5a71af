// Two workers and the main thread share a context and its connections. The workers close all that is theirs at the same time,
// again and again, with operations under way; the main thread's go on.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type MemlaneError, TcpEndpoint } from 'memlane'
import { endWithParent } from './child-parent'
import { fill, url } from './pair'

const ROUNDS = 15
const OPERATIONS = 20
const CODES = ['ok', 'ERR_CLOSED']

interface Work {
  target: string
  gate: Int32Array
}

interface Ends {
  ended: number
  unknown: string[]
}

/** Waits until both workers have come here: they close in the same moment. */
function meet(gate: Int32Array, round: number): void {
  const seen = Atomics.add(gate, 0, 1) + 1
  if (seen === 2 * (round + 1)) Atomics.notify(gate, 0)
  for (let now = seen; now < 2 * (round + 1); now = Atomics.load(gate, 0)) Atomics.wait(gate, 0, now, 1000)
}

async function closer({ target, gate }: Work): Promise<Ends> {
  const ends: Ends = { ended: 0, unknown: [] }
  for (let round = 0; round < ROUNDS; round++) {
    const endpoint = await TcpEndpoint.listen()
    const peer = await endpoint.connect(target)
    const scratch = endpoint.alloc('scratch', 1 << 20)
    // Nothing that could be half sent: giving that up would take the connection along.
    const operations = Array.from({ length: OPERATIONS }, (_, index) =>
      index % 2 === 0 ? peer.read('x', { into: scratch }) : peer.write('x', scratch, { length: 1024 })
    )
    const codes = operations.map((operation) => operation.wait().then(() => 'ok', (error: MemlaneError) => error.code))
    meet(gate, round)
    await Promise.all([peer.close(), endpoint.close(), peer.close(), endpoint.close()])
    for (const code of await Promise.all(codes)) {
      ends.ended++
      if (!CODES.includes(code)) ends.unknown.push(code)
    }
  }
  return ends
}

function start(work: Work): Promise<Ends> {
  const worker = new Worker(__filename, { workerData: work })
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

async function main(): Promise<void> {
  endWithParent()
  const endpoint = await TcpEndpoint.listen()
  const region = endpoint.alloc('x', 1 << 20, { access: 'readwrite' })
  fill(region.buffer, new Uint8Array(1 << 20).fill(7))
  const own = endpoint.alloc('own', 1, { access: 'read' })
  fill(own.buffer, new Uint8Array([7]))
  const peer = await endpoint.connect(url(endpoint))
  let over = false
  // By the same lanes as theirs: none of it may end for what they close.
  const going = (async () => {
    let seen = 0
    while (!over) seen = (await peer.read('own'))[0] ?? 0
    return seen
  })()
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const ends = await Promise.all([1, 2].map(() => start({ target: url(endpoint), gate })))
  over = true
  const unknown = ends.flatMap((end) => end.unknown)
  const ended = ends.reduce((sum, end) => sum + end.ended, 0)
  console.log(`ended: ${ended}, unknown codes: ${unknown.join(' ') || 'none'}, read: ${await going}`)
  await endpoint.close()
}

if (isMainThread) {
  void main()
} else {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
  void closer(workerData as Work).then((ends) => parentPort?.postMessage(ends))
}
