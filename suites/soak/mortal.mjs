/** The process that travellers visit, and that is killed all the time: mapped file, diary, messages, a name. Its life is short. */
import { join } from 'node:path'
import { TcpContext, TcpEndpoint } from 'memlane'
import { FileDirectory } from '../../stress/file-directory.mjs'
import { explain, grains, same } from '../../stress/pattern.mjs'
import { DIARY_BYTES, letterBytes, TAG } from '../../stress/traveller.mjs'

const { folder, name, processes, tokens, advertise, progressTimeoutMs } = JSON.parse(process.argv[2])

process.once('disconnect', () => process.exit(9))

const context = new TcpContext({ tokens, progressTimeoutMs, maxConnectionsPerSource: 1024, idleTimeoutMs: 5000 })
const endpoint = await TcpEndpoint.listen({ context, advertise })
endpoint.alloc('diary', processes * DIARY_BYTES, { access: 'readwrite' })
await endpoint.mapFile('model', join(folder, 'model'))
// Told before it is announced: nobody is led to it before what lies between knows where it is.
process.send({ port: endpoint.port })
await new Promise((resolve) => process.once('message', resolve))
await new FileDirectory(folder).announce(name, endpoint.endpointInfo())
process.send({ announced: true })

for await (const { data } of endpoint.messages({ tag: TAG })) {
  const [first] = grains(data.subarray(0, 16), 0)
  const expected = first && letterBytes(first.mark >>> 24, first.operation)
  if (expected === undefined) process.send({ failure: `a message of ${data.byteLength} bytes that nobody has sent` })
  else if (!same(data, expected)) process.send({ failure: `a message of process ${first.mark >>> 24}: ${explain(data, expected, 0)}` })
}
