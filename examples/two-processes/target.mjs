import { TcpEndpoint } from 'memlane'

const endpoint = await TcpEndpoint.listen({ port: Number(process.argv[2] ?? 7400) })
const weights = endpoint.alloc('weights', 64 << 20, { access: 'read' })
new Float32Array(weights.buffer).fill(0.5)
console.log(`serving ${weights.length} bytes on port ${endpoint.port}`)
for (;;); // a model that runs for ever: no JavaScript of this process answers anybody again
