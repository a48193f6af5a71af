// Worker threads with endpoints of their own, by what they are to show.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { TcpEndpoint } from 'memlane'
import { endWithParent } from './child-parent'
import { fill, url } from './pair'

/** Tells the main thread. */
function tell(message: unknown): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
  parentPort?.postMessage(message)
}

/** Everything by waitSync: the worker's event loop does not turn. */
async function waitSync(target: string): Promise<void> {
  const endpoint = await TcpEndpoint.listen()
  const peer = endpoint.connect(target).waitSync(30)
  if (peer === null) throw new Error('not connected')
  const scratch = endpoint.alloc('scratch', 8)
  const read = peer.read('x', { into: scratch }).waitSync(30)
  const receive = endpoint.recv(new Uint8Array(16))
  const timedOut = receive.waitSync(0.01)
  const self = endpoint.connect(endpoint.endpointInfo()).waitSync(30)
  self?.send(Buffer.from('hello')).waitSync(30)
  const received = Buffer.from(receive.waitSync(30)?.data ?? []).toString()
  let failed: unknown
  try {
    peer.read('nowhere').waitSync()
  } catch (error) {
    failed = (error as { code: string }).code
  }
  tell({ read: read === null ? null : scratch.copyOut()[7], timedOut, received, failed })
  await endpoint.close()
}

/** Operations that never end and others that end all the time; it says when they are on their way. */
async function busy(target: string): Promise<void> {
  const endpoint = await TcpEndpoint.listen()
  const peer = await endpoint.connect(target)
  const scratch = endpoint.alloc('scratch', 1 << 20, { access: 'readwrite' })
  for (let index = 0; index < 8; index++) void endpoint.recv(scratch).wait()
  const turn = async () => {
    for (;;) await peer.read('x', { into: scratch })
  }
  for (let index = 0; index < 64; index++) void turn()
  tell('busy')
  await turn()
}

function start(role: string, target: string): Worker {
  return new Worker(__filename, { workerData: { role, target } })
}

async function first(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

async function main(): Promise<void> {
  endWithParent()
  const endpoint = await TcpEndpoint.listen()
  const region = endpoint.alloc('x', 8, { access: 'read' })
  fill(region.buffer, new Uint8Array(8).fill(7))
  const target = url(endpoint)
  if (process.argv[2] === 'wait-sync') {
    process.send?.((await first(start('wait-sync', target))) as object)
  } else if (process.argv[2] === 'terminate') {
    for (let round = 0; round < 10; round++) {
      const workers = [start('busy', target), start('busy', target)]
      await Promise.all(workers.map(first))
      await Promise.all(workers.map((worker) => worker.terminate()))
    }
    const peer = await endpoint.connect(target)
    process.send?.({ read: [...(await peer.read('x'))] })
  } else {
    // Leaves with the workers in full swing.
    await Promise.all([start('busy', target), start('busy', target)].map(first))
    process.exit(3)
  }
  await endpoint.close()
}

if (isMainThread) void main()
else {
  const { role, target } = workerData as { role: string; target: string }
  void (role === 'busy' ? busy(target) : waitSync(target))
}
