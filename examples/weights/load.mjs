/** Two ways to load a model: each gives its `length`, `load()` and `slice(offset, length)`, which resolve with the bytes. */
import http from 'node:http'

import { TcpEndpoint } from 'memlane'

/** By memlane. The bytes go from the socket into the memory that `read` gives, and nowhere else. */
export async function memlane(url) {
  const endpoint = await TcpEndpoint.listen()
  const peer = await endpoint.connect(url)
  return {
    length: peer.regions.get('model').length,
    load: () => peer.read('model'),
    slice: (offset, length) => peer.read('model', { remoteOffset: offset, length }),
  }
}

/** By HTTP, over one connection that is kept. What comes is copied into memory of the right size. */
export async function nodeHttp(url) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const ask = (method, headers) =>
    new Promise((resolve, reject) => {
      http.request(url, { method, agent, headers }, resolve).on('error', reject).end()
    })
  const body = async (headers) => {
    const response = await ask('GET', headers)
    const bytes = Buffer.allocUnsafeSlow(Number(response.headers['content-length']))
    let filled = 0
    for await (const chunk of response) filled += chunk.copy(bytes, filled)
    if (filled !== bytes.length) throw new Error(`${filled} of ${bytes.length} bytes came`)
    return bytes
  }
  const head = await ask('HEAD', {})
  head.resume()
  return {
    length: Number(head.headers['content-length']),
    load: () => body({}),
    slice: (offset, length) => body({ range: `bytes=${offset}-${offset + length - 1}` }),
  }
}
