import { connect as connectTls } from 'node:tls'
import anyTest, { type ExecutionContext, type TestFn } from 'ava'
import { header, MAGIC, PING, preface, PREFACE_BYTES, type PrefaceFields, READ, RawConnection, WRITE, writeRequest } from './support/raw'
import { pattern, seed } from './support/raw-random'
import { CANARY, isUnchanged, refuses, serves, Target } from './support/raw-rig'

const test = anyTest as TestFn<Target>

test.beforeEach(async (t) => {
  t.context = await Target.start({ handshakeTimeoutMs: 1_000, headerTimeoutMs: 1_000 })
})
test.afterEach.always((t) => t.context.stop())

/** Says `bytes` and hears at most one preface before the target ends the connection. */
async function isTurnedAway(t: ExecutionContext<Target>, what: string, bytes: Buffer): Promise<void> {
  await refuses(t, t.context, what, async (connection) => {
    connection.write(bytes)
    const heard = await connection.rest()
    const onlyPreface = heard.byteLength === PREFACE_BYTES && heard.subarray(0, 8).equals(MAGIC)
    if (heard.byteLength > 0 && !onlyPreface) throw new Error(`${heard.byteLength} bytes came back: ${heard.toString('hex')}`)
  })
}

/** A preface and, behind it, what must not be executed when it is refused. */
function withRequests(t: ExecutionContext<Target>, fields: PrefaceFields): Buffer {
  const { address } = t.context.region('page')
  return Buffer.concat([preface(fields), header(PING, 0, 0), header(READ, 64, address), writeRequest(address, Buffer.alloc(64, 0xee))])
}

test.serial('a preface of versions that cannot be is turned away, and the requests behind it with it', async (t) => {
  for (const [lowest, highest] of [[0, 0], [1, 0], [2, 1], [255, 1], [2, 2], [2, 255], [255, 255]] as const) {
    await isTurnedAway(t, `versions ${lowest} to ${highest}`, withRequests(t, { lowest, highest }))
  }
})

test.serial('a preface that asks for authentication where there is none is turned away', async (t) => {
  await isTurnedAway(t, 'authentication', withRequests(t, { flags: 1, tokenHint: 0x01020304 }))
})

test.serial('a preface of a later peer that also speaks version 1 is answered with version 1', async (t) => {
  const lane = await RawConnection.open(t.context.port)
  lane.write(Buffer.concat([preface({ lowest: 1, highest: 255, flags: 0xfffe, tokenHint: 0xffffffff }), header(PING, 0, 0)]))
  const answer = await lane.take(PREFACE_BYTES)
  t.deepEqual(answer.subarray(0, 8), MAGIC)
  t.deepEqual([answer.readUInt8(8), answer.readUInt8(9), answer.readUInt16LE(10)], [1, 1, 0])
  t.deepEqual(await lane.takeStatus(), { sequence: 0, status: 0 })
  lane.destroy()
})

test.serial('a second preface on a lane is a request over the limit or of no opcode, and ends the lane', async (t) => {
  await refuses(
    t,
    t.context,
    'twice',
    async (lane) => {
      lane.write(Buffer.concat([header(PING, 0, 0), withRequests(t, {})]))
      t.deepEqual(await lane.takeStatus(), { sequence: 0, status: 0 })
      const { sequence, status } = await lane.takeStatus()
      t.is(sequence, 1)
      // Its instance id begins where a header has its opcode.
      t.true(status === 6 || status === 8, `status ${status}`)
      t.is((await lane.rest()).byteLength, 0)
    },
    RawConnection.native,
  )
})

test.serial('a magic that differs in any bit is no preface', async (t) => {
  for (let bit = 0; bit < 64; bit++) {
    const magic = Buffer.from(MAGIC)
    magic.writeUInt8(magic.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    await isTurnedAway(t, `bit ${bit}`, withRequests(t, { magic }))
  }
})

test.serial('a TLS client is turned away', async (t) => {
  const before = await t.context.refusals()
  const client = connectTls({ host: '127.0.0.1', port: t.context.port, rejectUnauthorized: false })
  const ended = new Promise((resolve) => client.once('error', resolve).once('close', resolve))
  const late = new Promise((resolve) => setTimeout(resolve, 1_000, 'late').unref())
  t.not(await Promise.race([ended, late]), 'late')
  client.destroy()
  t.true((await t.context.refusals()) > before)
  await serves(t, t.context, 'TLS')
})

test.serial('HTTP, SSH, text and random bytes are turned away without an answer', async (t) => {
  const openings: [what: string, bytes: Buffer][] = [
    ['HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')],
    ['HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')],
    ['Redis', Buffer.from('*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n')],
    ['0xff', Buffer.alloc(4096, 0xff)],
  ]
  for (let i = 0; i < 16; i++) {
    // The top byte of the first size is set: no random opening may be a small, good request.
    const random = pattern(`${seed}/noise ${i}`, 1 << 20)
    random.writeUInt8(random.readUInt8(7) | 0x80, 7)
    openings.push([`noise ${i}`, random])
  }
  for (const [what, bytes] of openings) await isTurnedAway(t, what, bytes)
})

test.serial("Mooncake's 24-byte headers give their sender nothing that its address does not", async (t) => {
  const { address, bytes } = t.context.region('page')
  const padding = Buffer.alloc(7)
  for (const op of [0x80, 0x81]) {
    await isTurnedAway(t, `version 2, opcode ${op}`, Buffer.concat([header(op, 64, address), padding]))
  }
  // Its WRITE has the opcode of our READ.
  await isTurnedAway(t, 'WRITE outside', Buffer.concat([header(1, 64, 4096), padding, Buffer.alloc(64, 0xee)]))
  const write = await RawConnection.open(t.context.port)
  write.write(Buffer.concat([header(1, 64, address), padding]))
  t.deepEqual(await write.take(64), bytes.subarray(0, 64))
  write.write(Buffer.alloc(64, 0xee))
  t.is((await write.rest()).byteLength, 0)
  // Its READ has the opcode of our SEND, whose body it never sends.
  const read = await RawConnection.open(t.context.port)
  read.write(Buffer.concat([header(0, 64, address), padding]))
  await serves(t, t.context, 'while a Mooncake READ waits')
  read.end()
  t.is((await read.rest()).byteLength, 0)
  await isUnchanged(t, t.context, 'Mooncake')
})

test.serial('connections that say too little keep nobody from being served, and end by their deadline', async (t) => {
  const openings: [what: string, bytes: Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.alloc(1)],
    ['one byte of a magic', MAGIC.subarray(0, 1)],
    ['seven bytes of a magic', MAGIC.subarray(0, 7)],
    ['a magic', MAGIC],
    ['a preface but one byte', preface().subarray(0, 63)],
    ['sixteen bytes', header(READ, 16, 0).subarray(0, 16)],
    ['a preface and sixteen bytes', Buffer.concat([preface(), header(READ, 16, 0).subarray(0, 16)])],
  ]
  const silent = await Promise.all(openings.map(() => RawConnection.open(t.context.port)))
  silent.forEach((connection, i) => connection.write(openings[i]![1]))
  await serves(t, t.context, 'beside silent connections')
  for (const [i, connection] of silent.entries()) {
    const [what] = openings[i]!
    // One second for the deadline that applies, one to act on it.
    const heard = await connection.rest(2_500).catch((error: Error) => t.fail(`${what}: ${error.message}`))
    if (Buffer.isBuffer(heard)) t.true(heard.byteLength === 0 || heard.byteLength === PREFACE_BYTES, what)
  }
  await serves(t, t.context, 'after silent connections')
})

test.serial('a reset in a preface, a header, a body or an answer harms nobody else', async (t) => {
  const { address } = t.context.region('page')
  const openings: [what: string, bytes: Buffer][] = [
    ['in a preface', preface().subarray(0, 30)],
    ['in a header', Buffer.concat([preface(), header(READ, 16, address).subarray(0, 9)])],
    ['in a legacy header', header(READ, 16, address).subarray(0, 9)],
    ['in a body', Buffer.concat([preface(), header(WRITE, 64, t.context.region('inbox').address), CANARY])],
    ['in a legacy body', Buffer.concat([header(WRITE, 64, t.context.region('inbox').address), CANARY])],
    ['in an answer', Buffer.concat([preface(), ...Array.from({ length: 500 }, () => header(READ, 8192, address))])],
    ['in a legacy answer', Buffer.concat(Array.from({ length: 500 }, () => header(READ, 8192, address)))],
  ]
  for (const [what, bytes] of openings) {
    const connection = await RawConnection.open(t.context.port)
    connection.pause()
    await connection.writeAll(bytes)
    connection.reset()
    await serves(t, t.context, `a reset ${what}`)
    await isUnchanged(t, t.context, `a reset ${what}`)
  }
})

test.serial('a half close behind a header is no error: the answer comes, then the end', async (t) => {
  const { address, bytes } = t.context.region('page')
  for (const length of [1, 8192]) {
    const legacy = await RawConnection.open(t.context.port)
    legacy.write(header(READ, length, address))
    legacy.end()
    t.deepEqual(await legacy.rest(), bytes.subarray(0, length))
    const native = await RawConnection.open(t.context.port)
    native.write(Buffer.concat([preface(), header(READ, length, address), header(PING, 0, 0)]))
    native.end()
    await native.take(PREFACE_BYTES)
    t.deepEqual(await native.takeStatus(), { sequence: 0, status: 0 })
    t.deepEqual(await native.take(length), bytes.subarray(0, length))
    t.deepEqual(await native.takeStatus(), { sequence: 1, status: 0 })
    t.is((await native.rest()).byteLength, 0)
  }
})
