/**
 * node copies.mjs region|array region|own: doubles a tensor of 64 MiB, from a region or an array, into a region or what ONNX Runtime
 * makes on its own, and prints what that has cost as one line of JSON.
 */
import { readFileSync } from 'node:fs'

import { TcpEndpoint } from 'memlane'
import { InferenceSession, Tensor } from 'onnxruntime-node'

import { doublingModel } from './doubling.mjs'

const SHAPE = [16, 1024, 1024]
const [input, output] = process.argv.slice(2)

/** The most memory that this process has had at a time, in bytes. */
const peak = () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024

const endpoint = await TcpEndpoint.listen()
const session = await InferenceSession.create(doublingModel(SHAPE))
const source = endpoint.alloc('source', { dtype: 'float32', shape: SHAPE, access: 'readwrite' })
const result = endpoint.alloc('result', { dtype: 'float32', shape: SHAPE, access: 'read' })
const x = new Tensor('float32', input === 'region' ? source.typed() : new Float32Array(source.length / 4), SHAPE)
const y = output === 'region' ? new Tensor('float32', result.typed(), SHAPE) : null
x.data.fill(1)
result.typed().fill(0)

const before = peak()
const answer = await session.run({ x }, { y })
const grown = peak() - before

// A peer stores something else, and the same two tensors show it: nothing was taken aside when they were made.
const peer = await endpoint.connect(`tcp://127.0.0.1:${endpoint.port}`)
await peer.write('source', Float32Array.of(21), { remoteOffset: source.length - 4 })
await session.run({ x }, { y })
const [last] = (await peer.readTensor('result', { rows: [15, 16] })).data.slice(-1)

console.log(
  JSON.stringify({
    bytes: result.length,
    grown,
    isInputRegion: x.data.buffer === source.buffer,
    isOutputRegion: y?.data.buffer === result.buffer,
    isAnswerRegion: answer.y.data.buffer === result.buffer,
    first: result.typed()[0],
    last,
  })
)
await endpoint.close()
