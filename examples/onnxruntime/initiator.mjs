/** Draws a word, upright and turned, and asks the model of another process which is which. */
import { TcpEndpoint } from 'memlane'

import { BYE, DONE, HELLO, RUN } from './tags.mjs'
import { drawn } from './word.mjs'

const endpoint = await TcpEndpoint.listen()
const peer = await endpoint.connect(`tcp://127.0.0.1:${process.argv[2] ?? 7400}`)
await peer.send(Buffer.from(JSON.stringify(endpoint.endpointInfo())), { tag: HELLO })

for (const isTurned of [false, true]) {
  const done = endpoint.recv(new Uint8Array(0), { tag: DONE })
  await peer.write('image', drawn('FRAPPE', isTurned), { notify: RUN })
  await done
  const { shape, data } = await peer.readTensor('scores')
  const [upright, turned] = data
  const said = upright > turned ? 'upright' : 'turned'
  console.log(`drawn ${isTurned ? 'turned' : 'upright'}, read as ${said}: scores [${shape}] are ${upright.toFixed(3)} and ${turned.toFixed(3)}`)
}
await peer.send(new Uint8Array(0), { tag: BYE })
await endpoint.close()
