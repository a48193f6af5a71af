/** `node serve.mjs FILE`: serves the file as the region `model`. Nothing of it is read before somebody asks for it. */
import { TcpEndpoint } from 'memlane'

import '../support/complaints.mjs'

const endpoint = await TcpEndpoint.listen()
const model = await endpoint.mapFile('model', process.argv[2])
console.log(`tcp://127.0.0.1:${endpoint.port} has ${model.length} bytes`)

setInterval(() => {}, 60_000) // an endpoint that waits for others does not keep its process
process.on('disconnect', () => process.exit())
