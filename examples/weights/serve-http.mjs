/** `node serve-http.mjs FILE`: the same with what Node has built in, as it is meant to be used: streamed, with ranges and keep-alive. */
import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { pipeline } from 'node:stream'

import '../support/complaints.mjs'

const PIECE_BYTES = 1 << 20 // larger than the default of 64 KiB, which is slower here

const file = process.argv[2]
const { size } = statSync(file)

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  const range = first === undefined ? {} : { start: Number(first), end: Math.min(Number(last), size - 1) }
  const { start = 0, end = size - 1 } = range
  response.writeHead(first === undefined ? 200 : 206, {
    'content-length': end - start + 1,
    'content-type': 'application/octet-stream',
    ...(first !== undefined && { 'content-range': `bytes ${start}-${end}/${size}` }),
  })
  if (request.method === 'HEAD') response.end()
  else pipeline(createReadStream(file, { ...range, highWaterMark: PIECE_BYTES }), response, () => {})
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port} has ${size} bytes`))
process.on('disconnect', () => process.exit())
