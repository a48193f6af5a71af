import anyTest, { type ExecutionContext, type TestFn } from 'ava'
import { HEADER_BYTES, header, PING, preface, PREFACE_BYTES, READ, RawConnection, SEND, sendRequest, statusFrame, WRITE, writeRequest } from './support/raw'
import { legacyOutcome, nativeOutcome, type Outcome } from './support/raw-model'
import { Random, seed } from './support/raw-random'
import { CANARY, isUnchanged, LIMITS, serves, Target, type TargetRegion } from './support/raw-rig'

const test = anyTest as TestFn<Target>

test.beforeEach(async (t) => {
  t.context = await Target.start({ unexpectedTimeoutMs: UNEXPECTED_MS })
})
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(`MEMLANE_SEED=${seed}`)
  await t.context.stop()
})

/** Short: every message of a session below waits for nobody. */
const UNEXPECTED_MS = 50

type Wire = 'native' | 'legacy'

/** A READ, a WRITE and, where there is one, a PING: the session whose bytes are cut and flipped below. */
function session(target: Target, wire: Wire): Buffer {
  const requests = [
    header(READ, 24, target.region('odd').address + 100),
    writeRequest(target.region('page').address + 40, Buffer.from('written by the session')),
    header(READ, 33, target.region('page').address + 30),
  ]
  return Buffer.concat(wire === 'native' ? [...requests, header(PING, 0, 0)] : requests)
}

/** Says `stream` and a half close on a fresh connection, and compares every byte and all memory with what the protocol says. */
async function behavesAsModelled(t: ExecutionContext<Target>, wire: Wire, what: string, stream: Buffer, cuts: number[] = []): Promise<void> {
  const target = t.context
  await target.refill()
  const regions = target.model()
  const connection = await RawConnection.open(target.port)
  await connection.writeCut(wire === 'native' ? Buffer.concat([preface(), stream]) : stream, cuts)
  connection.end()
  const heard = await connection.rest(UNEXPECTED_MS + 1_000).catch((error: Error) => t.fail(`${what}: ${error.message}`))
  if (!Buffer.isBuffer(heard)) return
  t.false(heard.includes(CANARY), `${what}: unreadable memory came out`)
  let undefinedRanges
  if (wire === 'legacy') {
    const outcome = legacyOutcome(stream, regions, LIMITS)
    if (!heard.equals(outcome.bytes)) t.fail(`${what}: ${heard.byteLength} bytes came back that are not the ${outcome.bytes.byteLength} asked for`)
    undefinedRanges = outcome.undefinedRanges
  } else {
    const outcome = nativeOutcome(stream, regions, LIMITS)
    const mistake = mistakeIn(heard.subarray(PREFACE_BYTES), outcome)
    if (mistake) t.fail(`${what}: ${mistake}`)
    undefinedRanges = outcome.undefinedRanges
  }
  await isUnchanged(t, target, what, { regions: regions as TargetRegion[], undefinedRanges })
}

/** Where `heard` is not what the model expects: answers in order, and statuses of SENDs anywhere between them. */
function mistakeIn(heard: Buffer, { answers, sends, closes }: Outcome): string | undefined {
  const expected = [...answers]
  const open = new Set(sends.map(({ sequence }) => sequence))
  let at = 0
  while (at < heard.byteLength) {
    if (heard.byteLength - at < 8) return `${heard.byteLength - at} bytes that are no frame`
    const { sequence, status } = statusFrame(heard.subarray(at, at + 8))
    at += 8
    if (open.delete(sequence)) {
      if (status !== 5) return `status ${status} for message ${sequence}, which nobody waits for`
      continue
    }
    const answer = expected.shift()
    if (!answer) return `a status ${status} of request ${sequence} behind the last one`
    if (answer.sequence !== sequence || !answer.statuses.includes(status)) {
      return `status ${status} of request ${sequence}, not ${answer.statuses} of request ${answer.sequence}`
    }
    const length = answer.body === 'describe' ? 4 + heard.readUInt32LE(at) : answer.body.byteLength
    const body = heard.subarray(at, at + length)
    if (body.byteLength < length) return `request ${sequence} answered with ${body.byteLength} of ${length} bytes`
    if (answer.body !== 'describe' && !body.equals(answer.body)) return `request ${sequence} answered with other bytes`
    at += length
  }
  if (expected.length > 0) return `request ${expected[0]!.sequence} not answered`
  // A lane that the target ends need not wait for messages that nobody waits for.
  if (open.size > 0 && !closes) return `message ${[...open][0]} never answered`
  return undefined
}

for (const wire of ['native', 'legacy'] as const) {
  test.serial(`${wire}: a session cut in two packets at every byte is one session`, async (t) => {
    const stream = session(t.context, wire)
    const total = stream.byteLength + (wire === 'native' ? PREFACE_BYTES : 0)
    for (let cut = 1; cut < total; cut++) await behavesAsModelled(t, wire, `cut at ${cut}`, stream, [cut])
  })

  test.serial(`${wire}: a session sent one byte at a time is one session`, async (t) => {
    const stream = session(t.context, wire)
    const total = stream.byteLength + (wire === 'native' ? PREFACE_BYTES : 0)
    await behavesAsModelled(t, wire, 'byte by byte', stream, Array.from({ length: total - 1 }, (_, i) => i + 1))
  })

  test.serial(`${wire}: a session that ends at any byte has its whole requests answered and nothing else done`, async (t) => {
    const stream = session(t.context, wire)
    for (let length = 0; length < stream.byteLength; length++) {
      await behavesAsModelled(t, wire, `${length} bytes`, stream.subarray(0, length))
    }
    await serves(t, t.context, 'cut sessions')
  })

  test.serial(`${wire}: a session with any bit of its headers flipped does what its bytes then say`, async (t) => {
    const stream = session(t.context, wire)
    const body = 'written by the session'.length
    const starts = [0, HEADER_BYTES, 2 * HEADER_BYTES + body, 3 * HEADER_BYTES + body].filter((start) => start < stream.byteLength)
    for (const start of starts) {
      for (let bit = 0; bit < HEADER_BYTES * 8; bit++) {
        const flipped = Buffer.from(stream)
        const byte = start + (bit >> 3)
        flipped.writeUInt8(flipped.readUInt8(byte) ^ (1 << (bit & 7)), byte)
        await behavesAsModelled(t, wire, `bit ${bit & 7} of byte ${byte}`, flipped)
      }
    }
    await serves(t, t.context, 'flipped sessions')
  })

  test.serial(`${wire}: random sessions of good, bad and cut requests do what their bytes say`, async (t) => {
    const random = new Random(`sessions ${wire}`)
    for (let round = 0; round < 300; round++) {
      const requests = Array.from({ length: 1 + random.below(12) }, () => randomRequest(t.context, random))
      const stream = Buffer.concat(requests)
      const end = random.below(4) === 0 ? random.below(stream.byteLength + 1) : stream.byteLength
      await behavesAsModelled(t, wire, `round ${round}`, stream.subarray(0, end))
    }
    await serves(t, t.context, 'random sessions')
  })
}

test.serial('native: part of a header at the end of a lane is never completed with other bytes', async (t) => {
  const message = sendRequest(7, Buffer.alloc(50))
  for (let length = 0; length < HEADER_BYTES; length++) {
    for (const next of [header(PING, 0, 0), header(READ, 64, t.context.region('page').address)]) {
      await behavesAsModelled(t, 'native', `a message and ${length} bytes`, Buffer.concat([message, next.subarray(0, length)]))
    }
  }
})

test.serial('native: a message that waits is answered, however the request behind it is cut off', async (t) => {
  const message = sendRequest(7, Buffer.alloc(50))
  const { address } = t.context.region('page')
  const half = Buffer.alloc(50)
  const endings: [what: string, bytes: Buffer][] = [
    ['at once', Buffer.alloc(0)],
    ['in a header', header(PING, 0, 0).subarray(0, 9)],
    ['in the body of a good WRITE', Buffer.concat([header(WRITE, 100, address), half])],
    ['in the body of a refused WRITE', Buffer.concat([header(WRITE, 100, 0), half])],
    ['in the body of a message', Buffer.concat([header(SEND, 100, 0), half])],
  ]
  for (const [what, bytes] of endings) await behavesAsModelled(t, 'native', what, Buffer.concat([message, bytes]))
})

test.serial('native: hundreds of small requests in one packet are all answered, in order', async (t) => {
  const { address, bytes } = t.context.region('odd')
  const lane = await RawConnection.native(t.context.port)
  const count = 2_000
  lane.write(Buffer.concat(Array.from({ length: count }, (_, i) => header(READ, 1 + (i % 7), address + i))))
  for (let i = 0; i < count; i++) {
    t.deepEqual(await lane.takeStatus(), { sequence: i, status: 0 })
    t.deepEqual(await lane.take(1 + (i % 7)), bytes.subarray(i, i + 1 + (i % 7)))
  }
  lane.destroy()
})

function randomRequest(target: Target, random: Random): Buffer {
  const region = random.pick(target.regions)
  const near = () => random.pick([0, 1, 8, 100, region.bytes.byteLength - 1, region.bytes.byteLength, region.bytes.byteLength + 1])
  const addr = random.below(8) === 0 ? random.pick([0n, 2n ** 64n - 1n, 2n ** 63n]) : BigInt(region.address + near() - random.below(2))
  const op = random.pick([READ, READ, READ, WRITE, WRITE, WRITE, SEND, PING, 3, 5, 0x81])
  if (op === READ) return header(READ, random.below(20) === 0 ? 2n ** 64n - 1n : near() + random.below(3), addr)
  const body = Buffer.alloc(near() % 8200, random.below(256))
  if (op === WRITE) return writeRequest(addr, body)
  if (op === SEND) return sendRequest(random.below(100), body)
  return op === PING || op === 3 ? header(op, random.below(10) === 0 ? 1 : 0, 0) : header(op, random.below(100), addr)
}
