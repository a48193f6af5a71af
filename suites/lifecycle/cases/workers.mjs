/** 20 workers at once, each with an endpoint of its own: reads and writes to the main thread, messages to the next worker. */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { TcpEndpoint } from 'memlane'
import { check, deserted, passed, settings, url } from '../support.mjs'

const WORKERS = 20
const BYTES = 64 << 10

async function main() {
  const endpoint = await TcpEndpoint.listen()
  const regions = Array.from({ length: WORKERS }, (_, number) => endpoint.alloc(`of ${number}`, BYTES, { access: 'readwrite' }))
  const workers = regions.map((_, number) => new Worker(new URL(import.meta.url), { workerData: { number, target: url(endpoint), argv: settings } }))
  const failures = workers.map(async (worker) => {
    const [error] = await once(worker, 'error')
    throw error
  })
  const all = (promises) => Promise.race([Promise.all(promises), ...failures])
  const hear = async (worker) => (await once(worker, 'message'))[0]
  const urls = await all(workers.map(hear))
  const ends = workers.map(hear)
  const exits = workers.map((worker) => once(worker, 'exit'))
  for (const [number, worker] of workers.entries()) worker.postMessage(urls[(number + 1) % WORKERS])
  const totals = await all(ends)
  const codes = await all(exits)
  check(codes.every(([code]) => code === 0), `workers exit with ${codes.flat()}`)
  for (const [number, region] of regions.entries()) {
    check(region.copyOut().every((byte) => byte === number + 1), `region ${number} has bytes of somebody else`)
  }
  await deserted(endpoint)
  await endpoint.close()
  passed(`${WORKERS} workers, ${totals.reduce((sum, total) => sum + total, 0)} operations, all as they should be`)
}

async function work({ number, target, argv: { rounds } }) {
  const endpoint = await TcpEndpoint.listen()
  parentPort.postMessage(url(endpoint))
  const [next] = await once(parentPort, 'message')
  const [peer, neighbour] = await Promise.all([endpoint.connect(target), endpoint.connect(next)])
  const own = endpoint.alloc('own', BYTES)
  const into = endpoint.alloc('into', BYTES)
  new Uint8Array(own.buffer).fill(number + 1)
  let operations = 0
  for (let round = 0; round < rounds; round++) {
    const message = endpoint.recv(new Uint8Array(8))
    const name = `of ${number}`
    await peer.write(name, own)
    const [bytes, , received] = await Promise.all([peer.read(name), peer.read(name, { into }), message, neighbour.send(Uint8Array.of(number, round))])
    operations += 5
    const from = (number + WORKERS - 1) % WORKERS
    check(bytes.every((byte) => byte === number + 1) && into.copyOut().every((byte) => byte === number + 1), 'other bytes were read')
    check(received.data[0] === from && received.data[1] === round % 256, `a message of ${received.data[0]} in round ${received.data[1]}`)
  }
  parentPort.postMessage(operations)
  await Promise.all([peer.close(), neighbour.close()])
  await endpoint.close()
  parentPort.close()
}

if (isMainThread) await main()
else await work(workerData)
