/** Listens, says where, and never accepts: its thread stands still until it is killed. */
import { createServer } from 'node:net'

const server = createServer()
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  process.send({ port: server.address().port }, () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
})
