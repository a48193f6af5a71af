/** process.exit with operations of every kind in flight, at another moment each time; also out of a worker and with workers. */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { busy, shared } from '../busy.mjs'
import { checkEnd, endWithParent, passed, play, role, settings, turns, url } from '../support.mjs'

const CODE = 7
const WORKERS = 4
const PARTS = ['alone', 'with workers', 'in a worker', 'in an exit handler']

async function main() {
  for (let round = 0; round < settings.rounds; round++) {
    await Promise.all(
      PARTS.map(async (part) => checkEnd(await play(part, { args: [String(round)] }).ended, { code: CODE }, `process.exit ${part}`)),
    )
  }
  passed(`${PARTS.length * settings.rounds} processes ended with their code`)
}

async function leave() {
  endWithParent()
  const round = Number(process.argv[3])
  const { endpoint } = await shared()
  const target = url(endpoint)
  // A worker that ends gives up what it had half sent, and with it a connection that all threads share.
  const { peer } = await busy(target, { mayLose: true })
  if (role === 'with workers' || role === 'in a worker') {
    const start = (leaves) => new Worker(new URL(import.meta.url), { workerData: { target, leaves: leaves ? round : undefined } })
    const workers = Array.from({ length: WORKERS }, (_, index) => start(role === 'in a worker' && index === 0))
    // In a worker it ends the worker alone; this process goes on and ends when that has.
    if (role === 'in a worker') {
      const [code] = await once(workers[0], 'exit')
      process.exit(code === CODE ? CODE : 1)
    }
    await Promise.all(workers.map((worker) => once(worker, 'message')))
  }
  await turns(round)
  if (role === 'in an exit handler') {
    // Operations that begin when the loop has turned for the last time.
    process.on('exit', () => {
      for (let index = 0; index < 50; index++) peer.write('shared', new Uint8Array(1 << 16))
    })
  }
  process.exit(CODE)
}

async function work({ target, leaves }) {
  await busy(target, { mayLose: true })
  parentPort.postMessage('busy')
  if (leaves === undefined) return
  await turns(leaves)
  process.exit(CODE)
}

if (!isMainThread) await work(workerData)
else if (role === '') await main()
else await leave()
