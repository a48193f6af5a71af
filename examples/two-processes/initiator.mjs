import { TcpEndpoint } from 'memlane'

const endpoint = await TcpEndpoint.listen()
const peer = await endpoint.connect(`tcp://127.0.0.1:${process.argv[2] ?? 7400}`)
const bytes = await peer.read('weights')
const weights = new Float32Array(bytes.buffer)
console.log(`${weights.length} weights, the last is ${weights.at(-1)}`)
await endpoint.close()
