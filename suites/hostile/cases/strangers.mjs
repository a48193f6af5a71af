/** B14, B16: who speaks another protocol, and prefaces that make no sense. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { header, MAGIC, OK, pattern, ping, preface, PREFACE_BYTES, read, write } from '../wire.mjs'
import { BAD, EVIL } from './parts.mjs'

/** TLS' alert for a message that does not belong there, by which a client knows that nobody speaks TLS here. */
const ALERT = Buffer.from('15030300020246', 'hex')

export async function* cases(target, { seed }) {
  yield* strangers(target, seed)
  yield* prefaces(target)
}

/** Says it and hears at most one preface before the target ends the connection. */
const turnedAway = (bytes, most = 0) => async ({ open }) => {
  const connection = await open()
  connection.write(bytes)
  const heard = await connection.rest()
  const isPreface = most > 0 && heard.length === most && heard.subarray(0, 8).equals(MAGIC)
  if (heard.length > 0 && !isPreface) throw new Error(`${heard.length} bytes came back: ${heard.toString('hex', 0, 64)}`)
  return heard.length > 0 ? 'preface, close' : 'close'
}

async function* strangers(target, seed) {
  const { address, bytes } = target.region('page')
  const limit = { 'rejected.limit': 1 }
  const openings = [
    ['an HTTP/1.1 request', Buffer.from(`GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)],
    ['an HTTP/2 preface', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['an SSH banner', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')],
    ['two Redis commands', Buffer.from('*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n')],
  ]
  // What the first 17 bytes say as a header: DESCRIBE and PING of a size are as bad as no opcode.
  const counters = (opening) => (opening.readUInt8(16) > 2 ? BAD : limit)
  for (const [name, opening] of openings) yield { row: 'B14', name, sent: `${opening.length} bytes`, counters: counters(opening), attack: turnedAway(opening) }
  const hello = await tlsHello()
  yield {
    row: 'B14', name: 'a TLS hello', sent: `${hello.length} bytes`, counters: { authFailures: 1 },
    attack: async ({ open }) => {
      const connection = await open()
      connection.write(hello)
      const heard = await connection.rest()
      if (!heard.equals(ALERT)) throw new Error(`${heard.length} bytes came back: ${heard.toString('hex', 0, 64)}`)
      return 'a fatal alert, close'
    },
  }
  const noise = Array.from({ length: 16 }, (_, index) => {
    const random = pattern(`${seed}/noise ${index}`, 1 << 20)
    // No random opening may be a small, good request.
    random.writeUInt8(random.readUInt8(7) | 0x80, 7)
    return { name: `noise ${index}`, counters: counters(random), attack: turnedAway(random) }
  })
  yield { row: 'B14', name: '1 MiB of random bytes', sent: '1 MiB, 16 times', sub: noise }
  const behind = Array.from({ length: 16 }, (_, index) => {
    const random = pattern(`${seed}/native noise ${index}`, 1 << 20)
    random.writeUInt8(random.readUInt8(7) | 0x80, 7)
    const attack = async ({ native }) => {
      const lane = await native()
      lane.write(random)
      const { status } = await lane.takeStatus()
      await lane.ends()
      return `status ${status}, close`
    }
    return { name: `noise ${index}`, counters: counters(random), attack }
  })
  yield { row: 'B14', name: 'a preface, then 1 MiB of random bytes', sent: '1 MiB, 16 times', sub: behind }
  const padding = Buffer.alloc(7)
  const mooncake = (op, addr) => Buffer.concat([header(op, 64, addr), padding])
  const sub = [0x80, 0x81].map((op) => ({ name: `version 2, opcode ${op}`, counters: BAD, attack: turnedAway(mooncake(op, address)) }))
  sub.push({
    name: 'WRITE of 64 bytes', counters: BAD,
    attack: async ({ open }) => {
      // Its WRITE has the opcode of our READ: it is answered by what its address grants, and then its padding is no request.
      const connection = await open()
      connection.write(mooncake(1, address))
      if (!(await connection.take(64)).equals(bytes.subarray(0, 64))) throw new Error('other bytes than the region holds')
      connection.write(Buffer.alloc(64, 0xee))
      return connection.ends()
    },
  })
  sub.push({ name: 'WRITE outside', counters: { 'rejected.no_such_region': 1 }, attack: turnedAway(Buffer.concat([mooncake(1, 4096), EVIL])) })
  yield { row: 'B14', name: "Mooncake's 24-byte headers", sent: 'READ, WRITE, both of version 2', sub }
  const magics = Array.from({ length: 64 }, (_, bit) => {
    const magic = Buffer.from(MAGIC)
    magic.writeUInt8(magic.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    const opening = Buffer.concat([preface({ magic, instance: Buffer.alloc(16) }), read(address, 64), write(address, EVIL)])
    return { name: `bit ${bit}`, counters: limit, attack: turnedAway(opening) }
  })
  yield { row: 'B14', name: 'a magic that differs in a bit, then requests', sent: 'each of its 64 bits', sub: magics }
}

/** What a TLS client says first. */
async function tlsHello() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connectTls({ host: '127.0.0.1', port: server.address().port, rejectUnauthorized: false })
  client.on('error', () => {})
  const [socket] = await once(server, 'connection')
  const [hello] = await once(socket, 'data')
  client.destroy()
  socket.destroy()
  server.close()
  return hello
}

function* prefaces(target) {
  const { address } = target.region('page')
  const requests = Buffer.concat([ping(), read(address, 64), write(address, EVIL)])
  const counters = { protocolErrors: 1 }
  const versions = [[0, 0], [1, 0], [2, 1], [255, 1], [2, 2], [2, 255], [255, 255]]
  const sub = versions.map(([lowest, highest]) => ({ name: `${lowest} to ${highest}`, counters, attack: turnedAway(Buffer.concat([preface({ lowest, highest }), requests])) }))
  yield { row: 'B16', name: 'version 0, lowest above highest, versions that are not', sent: 'a preface, then requests', sub }
  yield { row: 'B16', name: 'authentication asked for where there is none', sent: 'a preface, then requests', counters: { authFailures: 1 }, attack: turnedAway(Buffer.concat([preface({ flags: 1, hint: 7 }), requests]), PREFACE_BYTES) }
  const twice = async ({ native }) => {
    const lane = await native()
    lane.write(Buffer.concat([ping(), preface({ instance: Buffer.alloc(16) }), requests]))
    await lane.status(0, OK)
    const { status } = await lane.takeStatus()
    return `status ${status}, ${await lane.ends()}`
  }
  // As a header the magic is a size over the limit, and 0, where its instance begins, an opcode.
  yield { row: 'B16', name: 'a preface twice', sent: 'preface, PING, preface, requests', counters: { 'rejected.limit': 1 }, attack: twice }
  const same = preface()
  const replayed = async ({ native }) => {
    const first = await native(same)
    const second = await native(same)
    if (first.answer.subarray(32).equals(second.answer.subarray(32))) throw new Error('the target said the same nonce twice')
    second.write(ping())
    return `${await second.status(0, OK)}, with another nonce`
  }
  yield { row: 'B16', name: 'a preface replayed (no token)', sent: 'the same 64 bytes on two connections', attack: replayed }
  const later = async ({ native }) => {
    const lane = await native({ lowest: 1, highest: 255, flags: 0xfffe, hint: 0xffffffff })
    if (lane.answer.readUInt8(8) !== 1 || lane.answer.readUInt8(9) !== 1) throw new Error('not answered with version 1')
    lane.write(ping())
    return lane.status(0, OK)
  }
  yield { row: 'B16', name: 'a later version that also speaks 1, unknown flags', sent: 'preface, PING', attack: later }
}
