/** 20 busy workers are terminated, half of them in the middle of the others' work; the process and its endpoints go on. */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { TcpContext, TcpEndpoint } from 'memlane'
import { busy, lossy, shared } from '../busy.mjs'
import { check, deserted, passed, settings, threads, turns, url } from '../support.mjs'

const WORKERS = 20

async function main() {
  const { endpoint } = await shared()
  // Connections of its own: those that the workers share go with the half-sent body of one that is terminated.
  const initiator = await TcpEndpoint.listen({ context: new TcpContext() })
  const own = await initiator.connect(url(endpoint))
  const before = { operations: 0, threads: 0 }
  for (let round = 0; round < settings.rounds; round++) {
    const workers = Array.from({ length: WORKERS }, () => new Worker(new URL(import.meta.url), { workerData: { target: url(endpoint) } }))
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    const [first, second] = [workers.slice(0, WORKERS / 2), workers.slice(WORKERS / 2)]
    await Promise.all(first.map(async (worker, index) => (await turns(index * round), worker.terminate())))
    // The main thread's and the other workers' operations are as they were.
    check((await own.read('small'))[7] === 7, 'other bytes were read')
    before.operations += await alive(second)
    await Promise.all(second.map((worker) => worker.terminate()))
    check((await own.read('small'))[7] === 7, 'other bytes were read')
    if (round === 0) before.threads = threads()
    else check(threads() <= before.threads, `${threads()} threads, ${before.threads} after the first round`)
  }
  await initiator.close()
  await deserted(endpoint)
  await endpoint.close()
  passed(`${settings.rounds * WORKERS} workers terminated, ${before.operations} operations of those that were left`)
}

/** How many operations those workers have ended meanwhile; each has ended some. */
async function alive(workers) {
  const counts = await Promise.all(
    workers.map(async (worker) => {
      worker.postMessage('how many')
      return (await once(worker, 'message'))[0]
    }),
  )
  check(counts.every((count) => count > 0), `operations of the workers that were left: ${counts}`)
  return counts.reduce((sum, count) => sum + count, 0)
}

async function work({ target }) {
  let ended = 0
  let waiting = false
  const { peer, all } = await busy(target, { mayLose: true })
  all.catch((error) => {
    throw error
  })
  const count = async () => {
    for (;;) {
      await lossy(peer.read('small'))
      ended++
      if (!waiting) continue
      waiting = false
      parentPort.postMessage(ended)
    }
  }
  parentPort.on('message', () => {
    ended = 0
    waiting = true
  })
  parentPort.postMessage('busy')
  await count()
}

if (isMainThread) await main()
else await work(workerData)
