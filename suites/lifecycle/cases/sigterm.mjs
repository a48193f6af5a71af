/** SIGTERM to a process that is busy: without a handler it ends by it; with one it closes everything and ends as it likes. */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { busy, shared } from '../busy.mjs'
import { checkEnd, endWithParent, passed, play, role, settings, url } from '../support.mjs'

const WORKERS = 2

async function main() {
  const wanted = { 'no handler': { signal: 'SIGTERM' }, 'a handler that closes': { code: 0 } }
  let count = 0
  for (let round = 0; round < settings.rounds; round++) {
    for (const [part, end] of Object.entries(wanted)) {
      const { child, ended, said } = play(part)
      await said('busy')
      child.kill('SIGTERM')
      checkEnd(await ended, end, `SIGTERM with ${part}`)
      count++
    }
  }
  passed(`${count} busy processes ended as they should`)
}

async function workWithWorkers() {
  endWithParent()
  const { endpoint } = await shared()
  let over = false
  const own = await busy(url(endpoint), { isOver: () => over })
  own.all.catch((error) => {
    if (!over) throw error
  })
  const workers = Array.from({ length: WORKERS }, () => new Worker(new URL(import.meta.url), { workerData: { target: url(endpoint) } }))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  if (role === 'a handler that closes') {
    process.on('SIGTERM', async () => {
      over = true
      await Promise.all([endpoint.close(), own.endpoint.close()])
      await Promise.all(workers.map((worker) => worker.terminate()))
      // No exit by hand: nothing of it may hold the process any more.
    })
  }
  console.log('busy')
}

async function work({ target }) {
  const { all } = await busy(target)
  // Its target closes before it is terminated.
  all.catch(() => {})
  parentPort.postMessage('busy')
  parentPort.on('message', () => {})
}

if (!isMainThread) await work(workerData)
else if (role === '') await main()
else await workWithWorkers()
