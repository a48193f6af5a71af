/** `main.mts PYTHON`: reads and writes a NumPy array in the memory of a DLSlime process, whose Python does nothing for that. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

import { TcpEndpoint, type PeerInfo } from 'memlane'

const ROWS = 1000
const COLUMNS = 1000
const [python = 'python3', program = 'numpy_array.py'] = process.argv.slice(2)

const dlslime = spawn(python, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
const lines = createInterface({ input: dlslime.stdout })[Symbol.asyncIterator]()
async function answer(): Promise<string> {
  const { value, done } = await lines.next()
  if (done) throw new Error(`${python} ${program} has ended`)
  return value
}
function ask(command: string): Promise<string> {
  dlslime.stdin.write(`${command}\n`)
  return answer()
}

const info = JSON.parse(await answer()) as PeerInfo
const endpoint = await TcpEndpoint.listen()
const peer = await endpoint.connect(info)
console.log(`connected to ${info.host}:${info.port}, the wire is ${peer.wire}`)

// The whole array, from the socket into memory of the engine. DLSlime does not say what is in a region: dtype and shape are ours to know.
const local = endpoint.alloc('array', { dtype: 'float32', shape: [ROWS, COLUMNS] })
await peer.read('array', { into: local })
const values = local.typed() as Float32Array
const sum = values.reduce((total, value) => total + value, 0)
console.log(`read ${values.length} numbers, their sum is ${sum}; NumPy's is ${Number(await ask('sum'))}`)
if (!values.every((value, index) => value === index) || sum !== Number(await ask('sum'))) throw new Error('these are not the same')

// One row of it alone.
const rowBytes = COLUMNS * Float32Array.BYTES_PER_ELEMENT
const row = await peer.read('array', { remoteOffset: 7 * rowBytes, length: rowBytes })
const [first] = new Float32Array(row.buffer)
console.log(`row 7 begins with ${first}`)
if (first !== 7 * COLUMNS) throw new Error('that is another row')

// Back, with other numbers. On this wire a write has succeeded when its bytes have left, so Python is asked whether they are there.
values.fill(0.5)
await peer.write('array', local)
const verdict = await ask('wait 0.5')
console.log(`wrote 0.5 everywhere, in NumPy it is ${verdict}; the sum there is ${Number(await ask('sum'))}`)
if (verdict !== 'whole') throw new Error('the write did not arrive as it was')

dlslime.stdin.end()
await endpoint.close()
