import anyTest, { type ExecutionContext, type TestFn } from 'ava'
import { header, READ, RawConnection, SEND, sendRequest, WRITE, writeRequest } from './support/raw'
import { isUnchanged, canary, LIMITS, refuses, serves, Target } from './support/raw-rig'

const test = anyTest as TestFn<Target>

test.beforeEach(async (t) => {
  t.context = await Target.start()
})
test.afterEach.always((t) => t.context.stop())

const GIB = 2 ** 30
const EVIL = Buffer.from('overwritten by an adversary')

/** Between a good READ and a good WRITE: the READ is answered, the connection ends, and the WRITE behind it is not parsed. */
async function isRefused(t: ExecutionContext<Target>, what: string, request: Buffer): Promise<void> {
  const { address, bytes } = t.context.region('page')
  await refuses(t, t.context, what, async (connection) => {
    connection.write(Buffer.concat([header(READ, 16, address), request, writeRequest(address, EVIL)]))
    const heard = await connection.rest()
    if (!heard.equals(bytes.subarray(0, 16))) throw new Error(`${heard.byteLength} bytes came back, not the 16 asked for before`)
  })
}

async function isServed(t: ExecutionContext<Target>, what: string, request: Buffer, expected: Buffer): Promise<void> {
  const { address, bytes } = t.context.region('page')
  const connection = await RawConnection.open(t.context.port)
  connection.write(Buffer.concat([request, header(READ, 16, address)]))
  t.deepEqual(await connection.take(expected.byteLength), expected, what)
  t.deepEqual(await connection.take(16), bytes.subarray(0, 16), `${what}: then the next request`)
  connection.destroy()
}

test.serial('every opcode but the three ends the connection, and what follows it is never executed', async (t) => {
  const { address } = t.context.region('page')
  for (let op = 3; op <= 255; op++) await isRefused(t, `opcode ${op}`, header(op, 0, 0))
  for (const op of [3, 4, 127, 128, 255]) {
    await isRefused(t, `opcode ${op} with a size`, Buffer.concat([header(op, 4, address), Buffer.alloc(4)]))
  }
})

test.serial('a READ of every edge size gives the bytes of its region or the end of the connection', async (t) => {
  for (const { name, address, bytes } of [t.context.region('odd'), t.context.region('page')]) {
    for (const size of [1, bytes.byteLength - 1, bytes.byteLength]) {
      await isServed(t, `${name}, ${size} bytes`, header(READ, size, address), bytes.subarray(0, size))
    }
    const sizes = [bytes.byteLength + 1, 2 ** 16, GIB, GIB + 1, 2 ** 31, 2 ** 32, 2n ** 63n, 2n ** 64n - BigInt(address), 2n ** 64n - 1n]
    for (const size of sizes) await isRefused(t, `${name}, ${size} bytes`, header(READ, size, address))
  }
})

test.serial('requests of no bytes are ignored, wherever they point', async (t) => {
  const { address } = t.context.region('page')
  const { address: secret } = t.context.region('canary 1')
  for (const op of [SEND, READ, WRITE]) {
    for (const addr of [address, secret, 0, 2n ** 64n - 1n]) await isServed(t, `opcode ${op} at ${addr}`, header(op, 0, addr), Buffer.alloc(0))
  }
  await isUnchanged(t, t.context, 'requests of no bytes')
})

test.serial('a READ or WRITE at every edge address touches its region or ends the connection', async (t) => {
  const { address, bytes } = t.context.region('page')
  const end = address + bytes.byteLength
  for (const [addr, size] of [[address, 1], [end - 1, 1], [end - 17, 17]] as const) {
    const part = bytes.subarray(addr - address, addr - address + size)
    await isServed(t, `READ ${size} at base+${addr - address}`, header(READ, size, addr), part)
    await isServed(t, `WRITE ${size} at base+${addr - address}`, writeRequest(addr, part), Buffer.alloc(0))
  }
  const outside: [addr: number | bigint, size: number][] = [
    [address - 1, 1],
    [address - 1, 2],
    [end, 1],
    [end - 1, 2],
    [end + 1, 1],
    [0, 1],
    [2n ** 64n - 1n, 1],
    [2n ** 64n - 1n, 2],
    [2n ** 64n - 16n, 16],
    [2n ** 64n - 16n, 17],
    [2n ** 53n + BigInt(address), 16],
  ]
  for (const [addr, size] of outside) {
    await isRefused(t, `READ ${size} at ${addr}`, header(READ, size, addr))
    await isRefused(t, `WRITE ${size} at ${addr}`, writeRequest(addr, Buffer.alloc(size, 0xee)))
  }
})

test.serial('a WRITE or SEND that is too large ends the connection before its payload', async (t) => {
  const { address, bytes } = t.context.region('page')
  for (const size of [bytes.byteLength + 1, 2 ** 16, LIMITS.drainBytes, LIMITS.drainBytes + 1, GIB]) {
    await isRefused(t, `WRITE of ${size} bytes`, header(WRITE, size, address))
  }
  for (const op of [WRITE, SEND]) {
    for (const size of [GIB + 1, 2 ** 31, 2 ** 32, 2n ** 63n, 2n ** 64n - BigInt(address), 2n ** 64n - 1n]) {
      await isRefused(t, `opcode ${op}, ${size} bytes`, header(op, size, address))
    }
  }
})

test.serial('a range across two regions, the wrong right and a region without rights end the connection', async (t) => {
  const target = t.context
  const sorted = [...target.regions].sort((a, b) => a.address - b.address)
  for (const [i, left] of sorted.slice(0, -1).entries()) {
    const right = sorted[i + 1]!
    const from = left.address + left.bytes.byteLength - 8
    for (const op of [READ, WRITE]) {
      await isRefused(t, `opcode ${op} from "${left.name}" into "${right.name}"`, header(op, right.address + 8 - from, from))
    }
  }
  for (const [name, op] of [['odd', WRITE], ['inbox', READ], ['canary 1', READ], ['canary 1', WRITE]] as const) {
    const { address } = target.region(name)
    await isRefused(t, `opcode ${op} on "${name}"`, Buffer.concat([header(op, 16, address), Buffer.alloc(op === WRITE ? 16 : 0)]))
  }
})

test.serial('a closed region and an earlier registration of its name end the connection', async (t) => {
  const target = t.context
  const layout = { ...canary('short-lived'), access: 'readwrite' as const }
  const stale = await target.alloc(layout)
  await isServed(t, 'while it lives', header(READ, 8, stale), Buffer.from('CANARY!!'))
  await target.close('short-lived')
  await isRefused(t, 'READ of a closed region', header(READ, 8, stale))
  await isRefused(t, 'WRITE of a closed region', writeRequest(stale, EVIL))
  await target.alloc(layout)
  await isRefused(t, 'READ of an earlier registration', header(READ, 8, stale))
  await isRefused(t, 'WRITE of an earlier registration', writeRequest(stale, EVIL))
})

test.serial('a refused 64 MiB WRITE whose payload is in flight ends the connection', async (t) => {
  const { address } = t.context.region('page')
  await refuses(t, t.context, '64 MiB into 8 KiB', async (connection) => {
    connection.write(header(WRITE, 64 << 20, address))
    connection.write(Buffer.alloc(64 << 20, 0xee))
    const heard = await connection.rest()
    if (heard.byteLength > 0) throw new Error(`${heard.byteLength} bytes came back`)
  })
})

test.serial('a message nobody waits for does not end the connection before its time, and ends it then', async (t) => {
  const { address, bytes } = t.context.region('page')
  const connection = await RawConnection.open(t.context.port)
  connection.write(Buffer.concat([sendRequest(0, EVIL), header(READ, 16, address)]))
  t.deepEqual(await connection.take(16), bytes.subarray(0, 16))
  t.is((await connection.rest(LIMITS.unexpectedTimeoutMs + 1_000)).byteLength, 0)
  await serves(t, t.context, 'an unexpected message')
})
