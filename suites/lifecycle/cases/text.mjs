/**
 * `region.text` decodes while a peer, in a process of its own, writes there as fast as it can, in characters of one, two, three
 * and four bytes. A decoder over bytes that change under it ends the process; this one has a copy.
 */
import { TcpEndpoint } from 'memlane'
import { check, checkEnd, endWithParent, passed, play, role, settings, url } from '../support.mjs'

const BYTES = 64 << 10
/** Each of them fills the region with whole characters. */
const ALPHABETS = ['a', 'é', '€a', '😀']

async function main() {
  const endpoint = await TcpEndpoint.listen()
  const region = endpoint.alloc('text', BYTES, { access: 'readwrite' })
  const live = new Uint8Array(region.buffer)
  const writer = play('writer', { args: [url(endpoint)] })
  await writer.said('writing')
  const over = performance.now() + settings.seconds * 1000
  const lengths = new Set()
  let decoded = 0
  let changed = 0
  while (performance.now() < over) {
    for (let index = 0; index < 20; index++) {
      const before = live[0]
      lengths.add(region.text().length)
      lengths.add(region.text(index, BYTES - 2 * index).length)
      decoded += 2
      if (live[0] !== before) changed++
    }
    // Node has turns to do, too.
    await new Promise(setImmediate)
  }
  writer.child.stdin.end()
  checkEnd(await writer.ended, { code: 9 }, 'the writer')
  check(lengths.size > 2 && changed > 0, `nothing has changed while it was decoded: ${decoded} texts, ${lengths.size} lengths`)
  await endpoint.close()
  passed(`${decoded} texts in ${settings.seconds} s, ${lengths.size} lengths; the bytes have changed during ${changed} of them`)
}

async function write(target) {
  endWithParent()
  const endpoint = await TcpEndpoint.listen()
  const peer = await endpoint.connect(target)
  const sources = ALPHABETS.map((alphabet, index) => {
    const source = endpoint.alloc(`of ${index}`, BYTES)
    new Uint8Array(source.buffer).set(Buffer.from(alphabet.repeat(BYTES / Buffer.byteLength(alphabet))))
    return source
  })
  const turn = async (index) => {
    for (;;) await peer.write('text', sources[index++ % sources.length])
  }
  await peer.write('text', sources[0])
  console.log('writing')
  await Promise.all([0, 1, 2, 3].map(turn))
}

if (role === '') await main()
else await write(process.argv[3])
