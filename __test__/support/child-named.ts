// A worker thread with an endpoint that it announces in the process's own directory.
import { parentPort, workerData } from 'node:worker_threads'
import { TcpEndpoint } from 'memlane'
import { fill } from './pair'

async function main(): Promise<void> {
  const { name } = workerData as { name: string }
  const endpoint = await TcpEndpoint.listen({ name })
  fill(endpoint.alloc('which', 1, { access: 'read' }).buffer, Uint8Array.of(42))
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
  parentPort?.postMessage('listening')
  // An idle endpoint would let the thread end.
  parentPort?.on('message', () => undefined)
}

void main()
