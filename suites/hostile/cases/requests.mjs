/** B3 to B7: requests that must not be granted, one at a time. */
import { ACCESS_DENIED, BAD_REQUEST, DESCRIBE, header, LIMIT, NO_SUCH_REGION, OK, OUT_OF_RANGE, PING, read, READ, SEND, WRITE, write } from '../wire.mjs'
import { BAD, EVIL, GIB, HUGE, probe, refused, rejected, served } from './parts.mjs'

/** Regions of each kind that may be read, and those that may be written. */
const READABLE = ['odd', 'page', 'tiny', 'big', 'big odd', 'file', 'file odd']
const WRITABLE = ['page', 'tiny', 'big odd', 'big page', 'file odd', 'file page']
const OPCODES = { READ: read, WRITE: (address, size) => write(address, Buffer.alloc(size, 0xee)) }

export function* cases(target) {
  yield* opcodes(target)
  yield* sizes(target)
  yield* addresses(target)
  yield acrossTwo(target)
  yield* rights(target)
  yield* stale(target)
}

function* opcodes(target) {
  const { address } = target.region('page')
  const tail = write(address, EVIL)
  const all = (from) => Array.from({ length: 256 - from }, (_, index) => from + index)
  const native = (op, size = 0, addr = 0) => ({
    name: `opcode ${op}`,
    counters: BAD,
    attack: probe(Buffer.concat([header(op, size, addr), EVIL.subarray(0, Number(size))]), BAD_REQUEST, { ends: true, tail }),
  })
  yield { row: 'B3', name: 'native: opcodes 5 to 255', sent: 'an opcode that is none, then a WRITE', sub: all(5).map((op) => native(op)) }
  yield { row: 'B3', name: 'native: the same with a size and a body', sent: 'opcode, EVIL', sub: all(5).filter((op) => op % 10 === 5).map((op) => native(op, EVIL.length, address)) }
  const legacy = all(3).map((op) => ({ name: `opcode ${op}`, counters: BAD, attack: refused(target, header(op, 0, 0)) }))
  yield { row: 'B3', name: 'legacy: opcodes 3 to 255', sent: 'a READ, the opcode, a WRITE', sub: legacy }
  const odd = [DESCRIBE, PING].flatMap((op) => [[1, 0], [0, 1], [17, address], [2n ** 64n - 1n, 2n ** 64n - 1n]].map(([size, addr]) => native(op, size, addr)))
  yield { row: 'B3', name: 'native: DESCRIBE and PING with a size or an address', sent: 'a header, then a WRITE', sub: odd }
}

function* sizes(target) {
  for (const name of READABLE) {
    const { address, bytes, length } = target.region(name)
    const sub = []
    for (const size of [0, 1, length - 1, length]) {
      const body = bytes.subarray(0, size)
      sub.push({ name: `native ${size}`, attack: probe(read(address, size), OK, { body }) })
      sub.push({ name: `legacy ${size}`, attack: served(target, read(address, size), body) })
    }
    for (const [text, size] of [[`${length + 1}`, length + 1], ['1 GiB', GIB]]) {
      sub.push({ name: `native ${text}`, counters: rejected(OUT_OF_RANGE), attack: probe(read(address, size), OUT_OF_RANGE) })
      sub.push({ name: `legacy ${text}`, counters: rejected(OUT_OF_RANGE), attack: refused(target, read(address, size)) })
    }
    for (const [text, size] of [['1 GiB + 1', GIB + 1], ['2^64-base', 2n ** 64n - BigInt(address)], ...HUGE]) {
      sub.push({ name: `native ${text}`, counters: rejected(LIMIT), attack: probe(read(address, size), LIMIT, { ends: true }) })
      sub.push({ name: `legacy ${text}`, counters: rejected(LIMIT), attack: refused(target, read(address, size)) })
    }
    yield { row: 'B4', name: `READ of "${name}"`, sent: '0, 1, length-1, length, length+1, 1 GiB, 1 GiB+1, 2^31, 2^32, 2^63, 2^64-1 bytes', sub }
  }
  const { address, length } = target.region('page')
  const sub = [WRITE, SEND].flatMap((op) =>
    [GIB + 1, 2n ** 64n - BigInt(address), ...HUGE.map(([, size]) => size)].flatMap((size) => [
      { name: `native ${op} ${size}`, counters: rejected(LIMIT), attack: probe(header(op, size, address), LIMIT, { ends: true, tail: write(address, EVIL) }) },
      { name: `legacy ${op} ${size}`, counters: rejected(LIMIT), attack: refused(target, header(op, size, address)) },
    ])
  )
  yield { row: 'B4', name: 'WRITE and SEND over the limit', sent: '1 GiB+1, 2^31, 2^32, 2^63, 2^64-1 bytes', sub }
  const drained = [length + 1, target.limits.drainBytes].map((size) => ({
    name: `${size}`, counters: rejected(OUT_OF_RANGE), attack: probe(write(address, Buffer.alloc(size, 0xee)), OUT_OF_RANGE),
  }))
  yield { row: 'B4', name: 'WRITE of length+1, and of the drain limit', sent: 'header and body; the lane goes on', sub: drained }
  const { drainBytes } = target.limits
  const over = { counters: rejected(OUT_OF_RANGE), attack: probe(write(address, Buffer.alloc(drainBytes + 1, 0xee)), OUT_OF_RANGE, { ends: true }) }
  yield { row: 'B4', name: 'WRITE of the drain limit and a byte', sent: 'header and body; the lane ends', ...over }
}

function* addresses(target) {
  for (const name of WRITABLE) {
    const { address, bytes, length } = target.region(name)
    const end = address + length
    const sub = []
    for (const [addr, size] of [[address, 1], [end - 1, 1], [address, 0], [end, 0], [end - 17, 17]]) {
      const part = bytes.subarray(addr - address, addr - address + size)
      sub.push({ name: `READ ${size} at +${addr - address}`, attack: probe(read(addr, size), OK, { body: part }) })
      sub.push({ name: `WRITE ${size} at +${addr - address}`, attack: probe(write(addr, part), OK) })
      if (size > 0) sub.push({ name: `legacy READ ${size} at +${addr - address}`, attack: served(target, read(addr, size), part) })
    }
    const outside = [
      ['base-1', address - 1, 1, NO_SUCH_REGION], ['base-1', address - 1, 2, NO_SUCH_REGION], ['base-1', address - 1, 0, NO_SUCH_REGION],
      ['base+length-1', end - 1, 2, OUT_OF_RANGE], ['base+length', end, 1, OUT_OF_RANGE], ['base+length', end, 64, OUT_OF_RANGE],
      ['base+length+1', end + 1, 0, NO_SUCH_REGION], ['base+length+1', end + 1, 1, NO_SUCH_REGION],
      ['0', 0, 0, NO_SUCH_REGION], ['0', 0, 1, NO_SUCH_REGION], ['2^64-1', 2n ** 64n - 1n, 1, NO_SUCH_REGION],
      ['2^64-1', 2n ** 64n - 1n, 0, NO_SUCH_REGION], ['2^64-16', 2n ** 64n - 16n, 16, NO_SUCH_REGION],
      ['2^64-16', 2n ** 64n - 16n, 17, NO_SUCH_REGION], ['base+2^53', 2n ** 53n + BigInt(address), 16, NO_SUCH_REGION],
      ['base+2^63', 2n ** 63n + BigInt(address), 16, NO_SUCH_REGION], ['-base', 2n ** 64n - BigInt(address), 16, NO_SUCH_REGION],
    ]
    for (const [text, addr, size, status] of outside) {
      for (const [op, request] of Object.entries(OPCODES)) {
        sub.push({ name: `${op} ${size} at ${text}`, counters: rejected(status), attack: probe(request(addr, size), status) })
        if (size > 0) sub.push({ name: `legacy ${op} ${size} at ${text}`, counters: rejected(status), attack: refused(target, request(addr, size)) })
      }
    }
    yield { row: 'B5', name: `READ and WRITE around "${name}"`, sent: 'base-1, base, base+length-1, base+length, 0, 2^64-1; sums of 2^64, 2^64+1', sub }
  }
}

function acrossTwo(target) {
  const sorted = [...target.regions].sort((one, other) => one.address - other.address)
  const sub = sorted.slice(0, -1).flatMap((left, index) => {
    const right = sorted[index + 1]
    const from = left.address + left.length - 8
    const size = right.address + 8 - from
    const status = size > target.limits.maxOperationBytes ? LIMIT : OUT_OF_RANGE
    return [READ, WRITE].flatMap((op) => {
      const ends = status === LIMIT || (op === WRITE && size > target.limits.drainBytes)
      const name = `${op} from "${left.name}" into "${right.name}"`
      return [
        { name, counters: rejected(status), attack: probe(header(op, size, from), status, { ends }) },
        { name: `legacy ${name}`, counters: rejected(status), attack: refused(target, header(op, size, from)) },
      ]
    })
  })
  // In memory the next region is a few bytes behind this one, however far apart their addresses are.
  for (const name of ['odd', 'page', 'tiny', 'big page', 'file page']) {
    const { address, length } = target.region(name)
    for (const [op, request] of Object.entries(OPCODES)) {
      for (const size of [64, 4096, 2 * length]) {
        const attack = probe(request(address + length - 8, size), OUT_OF_RANGE)
        sub.push({ name: `${op} of ${size} bytes over the end of "${name}"`, counters: rejected(OUT_OF_RANGE), attack })
      }
    }
  }
  return { row: 'B6', name: 'READ and WRITE across two regions', sent: 'each pair of neighbours by address, and neighbours in memory', sub }
}

function* rights(target) {
  const denied = [['odd', 'WRITE'], ['big', 'WRITE'], ['file', 'WRITE'], ['inbox', 'READ'], ['canary 1', 'READ'], ['canary 1', 'WRITE'],
    ['big canary 0', 'READ'], ['big canary 0', 'WRITE'], ['tiny canary 0', 'READ'], ['tiny canary 0', 'WRITE'], ['mail', 'WRITE']]
  const sub = denied.flatMap(([name, op]) => {
    const { address, length } = target.region(name)
    const request = OPCODES[op]
    const lengths = [0, 1, ...(length <= 1 << 20 ? [length] : [])]
    return lengths.flatMap((size) => [
      { name: `${op} ${size} of "${name}"`, counters: rejected(ACCESS_DENIED), attack: probe(request(address, size), ACCESS_DENIED) },
      ...(size === 0 ? [] : [{ name: `legacy ${op} ${size} of "${name}"`, counters: rejected(ACCESS_DENIED), attack: refused(target, request(address, size)) }]),
    ])
  })
  yield { row: 'B7', name: 'the wrong right', sent: 'READ and WRITE of 0, 1 and length bytes, each kind of region', sub }
  const told = async ({ native }) => {
    const lane = await native()
    lane.write(header(DESCRIBE, 0, 0))
    await lane.status(0, OK)
    const text = (await lane.take((await lane.take(4)).readUInt32LE(0))).toString()
    const names = Object.keys(JSON.parse(text).mr_info).sort().join()
    const open = target.regions.filter(({ access }) => access !== 'none').map(({ name }) => name).sort().join()
    if (names !== open || text.includes('canary')) throw new Error(`DESCRIBE tells of ${names}`)
    return 'ok, the regions with rights'
  }
  yield { row: 'B7', name: 'regions without rights', sent: 'DESCRIBE', attack: told }
}

function* stale(target) {
  for (const [kind, length] of [['slab', 4096], ['mapping', 300 << 10]]) {
    const name = `short-lived ${kind}`
    const sub = []
    for (const [op, request] of Object.entries(OPCODES)) {
      for (const again of [false, true]) {
        const attack = async ({ native }) => {
          const made = await target.call('alloc', { name, length, access: 'readwrite' })
          const lane = await native()
          lane.write(read(made.address, 8))
          await lane.status(0, OK)
          await lane.take(8)
          await target.call('close', { name })
          await target.call('forget', name)
          let next
          if (again) next = await target.call('alloc', { name, length, access: 'readwrite' })
          if (next?.address === made.address) throw new Error('an address was given out twice')
          lane.write(request(made.address, 8))
          const said = await lane.status(1, NO_SUCH_REGION)
          if (again) {
            lane.write(read(next.address, 8))
            await lane.status(2, OK)
            await lane.take(8)
            await target.call('close', { name })
            await target.call('forget', name)
          }
          return said
        }
        sub.push({ name: `${op}${again ? ' of an earlier registration' : ''}`, counters: rejected(NO_SUCH_REGION), attack })
      }
    }
    yield { row: 'B7', name: `a closed region, an earlier registration: ${kind}`, sent: 'READ, WRITE of 8 bytes by its address', sub }
  }
}
