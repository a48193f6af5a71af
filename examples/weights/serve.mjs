/** `node serve.mjs FILE`: serves the file as the region `model`. Nothing of it is read before somebody asks for it. */
import { TcpEndpoint } from 'memlane'

import { complainInOneLine } from '../support/complaints.mjs'

complainInOneLine()

const endpoint = await TcpEndpoint.listen()
const model = await endpoint.mapFile('model', process.argv[2])
console.log(`tcp://127.0.0.1:${endpoint.port} has ${model.length} bytes`)

endpoint.ref() // it has nothing to do but to be there
process.on('disconnect', () => process.exit())
