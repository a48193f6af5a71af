import anyTest, { type TestFn } from 'ava'
import { DESCRIBE, header, PING, READ, RawConnection, SEND, statusFrame, WRITE, writeRequest } from './support/raw'
import { pattern } from './support/raw-random'
import { canary, isUnchanged, LIMITS, refuses, serves, Target } from './support/raw-rig'

const test = anyTest as TestFn<Target>

test.beforeEach(async (t) => {
  t.context = await Target.start()
})
test.afterEach.always((t) => t.context.stop())

const OK = 0
const NO_SUCH_REGION = 1
const OUT_OF_RANGE = 2
const ACCESS_DENIED = 3
const LIMIT = 6
const BAD_REQUEST = 8
const GIB = 2 ** 30
const EMPTY = Buffer.alloc(0)
const EVIL = Buffer.from('overwritten by an adversary')

/** Says `request` between two pings; the answer must be `status`, and the lane live on unless that status ends it. */
function probe(request: Buffer, status: number | number[], { payload = EMPTY, ends = false }: { payload?: Buffer; ends?: boolean } = {}) {
  return async (lane: RawConnection) => {
    lane.write(Buffer.concat([header(PING, 0, 0), request, header(PING, 0, 0)]))
    sameFrame(await lane.takeStatus(), 0, OK)
    sameFrame(await lane.takeStatus(), 1, status)
    if (!(await lane.take(payload.byteLength)).equals(payload)) throw new Error('other bytes than the region holds')
    if (ends) {
      const rest = await lane.rest()
      if (rest.byteLength > 0) throw new Error(`${rest.byteLength} bytes after the last answer`)
    } else {
      sameFrame(await lane.takeStatus(), 2, OK)
    }
  }
}

function sameFrame(frame: { sequence: number; status: number }, sequence: number, status: number | number[]): void {
  if (frame.sequence !== sequence || ![status].flat().includes(frame.status)) {
    throw new Error(`status ${frame.status} of request ${frame.sequence}, not ${status} of request ${sequence}`)
  }
}

test.serial('every unassigned opcode is a bad request that ends the lane, and what follows it is never executed', async (t) => {
  const target = t.context
  const { address } = target.region('page')
  for (let op = 5; op <= 255; op++) {
    const tail = writeRequest(address, EVIL)
    const attack = probe(Buffer.concat([header(op, 0, 0), tail]), BAD_REQUEST, { ends: true })
    await refuses(t, target, `opcode ${op}`, attack, RawConnection.native)
  }
  for (const op of [5, 127, 128, 129, 255]) {
    const withBody = Buffer.concat([header(op, EVIL.byteLength, address), EVIL, writeRequest(address, EVIL)])
    await refuses(t, target, `opcode ${op} with a size`, probe(withBody, BAD_REQUEST, { ends: true }), RawConnection.native)
  }
})

test.serial('DESCRIBE and PING with a size or an address are bad requests', async (t) => {
  for (const op of [DESCRIBE, PING]) {
    for (const [size, addr] of [[1, 0], [0, 1], [17, t.context.region('odd').address]] as const) {
      const attack = probe(header(op, size, addr), BAD_REQUEST, { ends: true })
      await refuses(t, t.context, `opcode ${op}, size ${size}, address ${addr}`, attack, RawConnection.native)
    }
    const huge = probe(header(op, 2n ** 64n - 1n, 0), [LIMIT, BAD_REQUEST], { ends: true })
    await refuses(t, t.context, `opcode ${op} of 2^64-1 bytes`, huge, RawConnection.native)
  }
})

test.serial('a READ of every edge size gives the bytes of its region or a status', async (t) => {
  const target = t.context
  for (const { address, bytes, name } of [target.region('odd'), target.region('page')]) {
    for (const size of [0, 1, bytes.byteLength - 1, bytes.byteLength]) {
      const lane = await RawConnection.native(target.port)
      await t.notThrowsAsync(probe(header(READ, size, address), OK, { payload: bytes.subarray(0, size) })(lane), `${name}, ${size} bytes`)
      lane.destroy()
    }
    for (const size of [bytes.byteLength + 1, 4096 * 4, 2 ** 20, GIB]) {
      await refuses(t, target, `${name}, ${size} bytes`, probe(header(READ, size, address), OUT_OF_RANGE), RawConnection.native)
    }
    for (const size of [GIB + 1, 2 ** 31, 2 ** 32, 2n ** 63n, 2n ** 64n - BigInt(address), 2n ** 64n - 1n]) {
      const attack = probe(header(READ, size, address), LIMIT, { ends: true })
      await refuses(t, target, `${name}, ${size} bytes`, attack, RawConnection.native)
    }
  }
})

test.serial('a READ or WRITE at every edge address touches its region or gets a status', async (t) => {
  const target = t.context
  const { address, bytes } = target.region('page')
  const end = address + bytes.byteLength
  const inside: [addr: number, size: number][] = [[address, 1], [end - 1, 1], [address, 0], [end, 0], [end - 17, 17]]
  for (const [addr, size] of inside) {
    const lane = await RawConnection.native(target.port)
    const payload = bytes.subarray(addr - address, addr - address + size)
    await t.notThrowsAsync(probe(header(READ, size, addr), OK, { payload })(lane), `READ ${size} at base+${addr - address}`)
    lane.destroy()
    const other = await RawConnection.native(target.port)
    await t.notThrowsAsync(probe(writeRequest(addr, payload), OK)(other), `WRITE ${size} at base+${addr - address}`)
    other.destroy()
  }
  const outside: [addr: number | bigint, size: number, status: number][] = [
    [address - 1, 0, NO_SUCH_REGION],
    [address - 1, 1, NO_SUCH_REGION],
    [address - 1, 2, NO_SUCH_REGION],
    [end, 1, OUT_OF_RANGE],
    [end - 1, 2, OUT_OF_RANGE],
    [end + 1, 0, NO_SUCH_REGION],
    [end + 1, 1, NO_SUCH_REGION],
    [0, 0, NO_SUCH_REGION],
    [0, 1, NO_SUCH_REGION],
    [2n ** 64n - 1n, 0, NO_SUCH_REGION],
    [2n ** 64n - 1n, 1, NO_SUCH_REGION],
    [2n ** 64n - 1n, 2, NO_SUCH_REGION],
    [2n ** 64n - 16n, 16, NO_SUCH_REGION],
    [2n ** 64n - 16n, 17, NO_SUCH_REGION],
    [2n ** 63n + BigInt(address), 16, NO_SUCH_REGION],
    [2n ** 53n + BigInt(address), 16, NO_SUCH_REGION],
    [2n ** 32n + BigInt(address), 16, NO_SUCH_REGION],
  ]
  for (const [addr, size, status] of outside) {
    await refuses(t, target, `READ ${size} at ${addr}`, probe(header(READ, size, addr), status), RawConnection.native)
    const write = writeRequest(addr, Buffer.alloc(size, 0xee))
    await refuses(t, target, `WRITE ${size} at ${addr}`, probe(write, status), RawConnection.native)
  }
})

test.serial('a WRITE of every edge size is applied whole or not at all', async (t) => {
  const target = t.context
  const { address, bytes } = target.region('page')
  const { byteLength } = bytes
  const whole = await RawConnection.native(target.port)
  await t.notThrowsAsync(probe(writeRequest(address, bytes), OK)(whole))
  whole.destroy()
  for (const size of [byteLength + 1, 2 ** 16, LIMITS.drainBytes]) {
    // Small enough to be drained: the lane goes on behind the payload.
    const attack = probe(writeRequest(address, Buffer.alloc(size, 0xee)), OUT_OF_RANGE)
    await refuses(t, target, `${size} bytes`, attack, RawConnection.native)
  }
  for (const size of [LIMITS.drainBytes + 1, GIB]) {
    await refuses(t, target, `${size} bytes`, probe(header(WRITE, size, address), OUT_OF_RANGE, { ends: true }), RawConnection.native)
  }
  for (const op of [WRITE, SEND]) {
    for (const size of [GIB + 1, 2 ** 31, 2 ** 32, 2n ** 63n, 2n ** 64n - BigInt(address), 2n ** 64n - 1n]) {
      const attack = probe(Buffer.concat([header(op, size, address), writeRequest(address, EVIL)]), LIMIT, { ends: true })
      await refuses(t, target, `opcode ${op}, ${size} bytes`, attack, RawConnection.native)
    }
  }
})

test.serial('a range across two regions is refused, whatever lies between them', async (t) => {
  const target = t.context
  const sorted = [...target.regions].sort((a, b) => a.address - b.address)
  for (const [i, left] of sorted.slice(0, -1).entries()) {
    const right = sorted[i + 1]!
    const from = left.address + left.bytes.byteLength - 8
    const size = right.address + 8 - from
    const [status, ends] = size > LIMITS.maxOperationBytes ? [LIMIT, true] : [OUT_OF_RANGE, false]
    const what = `from "${left.name}" into "${right.name}"`
    await refuses(t, target, `READ ${what}`, probe(header(READ, size, from), status, { ends }), RawConnection.native)
    const write = probe(header(WRITE, size, from), status, { ends: true })
    if (ends || size > LIMITS.drainBytes) await refuses(t, target, `WRITE ${what}`, write, RawConnection.native)
  }
})

test.serial('the wrong right is refused at every length, zero included', async (t) => {
  const target = t.context
  const denied: [name: string, op: number][] = [['odd', WRITE], ['inbox', READ], ['canary 1', READ], ['canary 1', WRITE]]
  for (const [name, op] of denied) {
    const { address, bytes } = target.region(name)
    for (const size of [0, 1, bytes.byteLength]) {
      const request = op === READ ? header(READ, size, address) : writeRequest(address, Buffer.alloc(size, 0xee))
      await refuses(t, target, `opcode ${op} on "${name}", ${size} bytes`, probe(request, ACCESS_DENIED), RawConnection.native)
    }
    const beyond = op === READ ? header(READ, 2, address + bytes.byteLength - 1) : writeRequest(address + bytes.byteLength - 1, EVIL)
    await refuses(t, target, `opcode ${op} beyond "${name}"`, probe(beyond, OUT_OF_RANGE), RawConnection.native)
  }
})

test.serial('DESCRIBE tells nothing of a region without rights', async (t) => {
  const lane = await RawConnection.native(t.context.port)
  lane.write(header(DESCRIBE, 0, 0))
  t.deepEqual(await lane.takeStatus(), { sequence: 0, status: OK })
  const text = (await lane.take((await lane.take(4)).readUInt32LE(0))).toString()
  lane.destroy()
  t.deepEqual(Object.keys(JSON.parse(text).mr_info).sort(), ['inbox', 'odd', 'page'])
  t.false(text.includes('canary'))
})

test.serial('a closed region is gone for every address it had, and a later region of the same name has other addresses', async (t) => {
  const target = t.context
  const layout = { ...canary('short-lived'), access: 'readwrite' as const }
  const stale = await target.alloc(layout)
  const lane = await RawConnection.native(target.port)
  lane.write(header(READ, 8, stale))
  t.deepEqual(await lane.takeStatus(), { sequence: 0, status: OK })
  await lane.take(8)
  await target.close('short-lived')
  lane.write(Buffer.concat([header(READ, 8, stale), writeRequest(stale, EVIL), header(READ, 0, stale + 4096)]))
  for (const sequence of [1, 2, 3]) t.deepEqual(await lane.takeStatus(), { sequence, status: NO_SUCH_REGION })

  const again = await target.alloc(layout)
  t.not(again, stale)
  lane.write(Buffer.concat([header(READ, 8, stale), writeRequest(stale, EVIL)]))
  for (const sequence of [4, 5]) t.deepEqual(await lane.takeStatus(), { sequence, status: NO_SUCH_REGION })
  lane.destroy()
  await isUnchanged(t, target, 'after stale requests', { regions: [...target.regions, { ...layout, address: again, bytes: Buffer.alloc(4096, 'CANARY!!') }] })
  await serves(t, target, 'after stale requests')
})

test.serial('a refused 64 MiB WRITE whose payload is in flight gets its status, and the lane ends', async (t) => {
  const target = t.context
  const { address } = target.region('page')
  const payload = pattern('in flight', 64 << 20)
  await refuses(
    t,
    target,
    '64 MiB into 8 KiB',
    async (lane) => {
      lane.write(header(WRITE, payload.byteLength, address))
      lane.write(payload)
      sameFrame(statusFrame(await lane.take(8)), 0, OUT_OF_RANGE)
      const rest = await lane.rest(3_000)
      if (rest.byteLength > 0) throw new Error(`${rest.byteLength} bytes after the status`)
    },
    RawConnection.native,
  )
})

test.serial('a lane that is being ended takes what still comes without keeping it', async (t) => {
  const target = t.context
  const { address } = target.region('page')
  const flood = Buffer.alloc(256 << 20)
  const openings: [what: string, bytes: Buffer, status: number][] = [
    ['an unassigned opcode', header(9, 0, 0), BAD_REQUEST],
    ['a WRITE over the limit', header(WRITE, GIB + 1, address), LIMIT],
    ['a WRITE out of range', header(WRITE, GIB, address), OUT_OF_RANGE],
  ]
  for (const [what, opening, status] of openings) {
    const before = await target.memory()
    let most = before
    await refuses(
      t,
      target,
      what,
      async (lane) => {
        lane.write(Buffer.concat([header(PING, 0, 0), opening, EVIL]))
        let flooding = true
        const flooded = lane.writeAll(flood).then(() => (flooding = false))
        sameFrame(await lane.takeStatus(), 0, OK)
        sameFrame(await lane.takeStatus(), 1, status)
        // Until the target has read it all or cut it off.
        while (flooding) most = Math.max(most, await target.memory())
        await flooded
        const rest = await lane.rest()
        if (rest.byteLength > 0) throw new Error(`${rest.byteLength} bytes after the status`)
      },
      RawConnection.native,
    )
    t.true(most - before < 32 << 20, `${what}: ${(most - before) >> 20} MiB kept`)
  }
})
