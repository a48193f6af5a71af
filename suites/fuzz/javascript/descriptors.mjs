/**
 * The numbers that JavaScript hands the engine: slots, handles, offsets, addresses, lengths. Whatever they are, nothing crashes, each
 * operation ends once, and no byte outside a range that they may name is touched.
 *
 * Runs in a process of its own, since a crash is a finding: `run.mjs` starts it.
 */
import { createRequire } from 'node:module'
import process from 'node:process'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Random } from '../../../bench/support/random.mjs'

const native = createRequire(import.meta.url)('../../../native.js')

const OPERATIONS_PER_ROUND = 48
/** Of operations that have a deadline of a minute: on a machine that has other work, a second is soon over. */
const PATIENCE_MS = 180_000
const TIMEOUT_MS = 60_000
const MOST_SAFE = Number.MAX_SAFE_INTEGER
/** The number that the engine tells the end of an operation by that has no number it could have. */
const NOBODY = 2 ** 32 - 1
const WILD = [NaN, Infinity, -Infinity, -0, 0.5, -1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64, 1e300, 5e-324, MOST_SAFE - 4096]

/** Numbers that no operation can have; zero, however it is signed, is one's. */
const NO_OPERATION = [...WILD.filter((value) => value !== 0), 2 ** 24, 1e9]

const { values } = parseArgs({ options: { seed: { type: 'string' }, seconds: { type: 'string', default: '0' }, rounds: { type: 'string', default: '0' } } })
const seed = Number(values.seed)

class Rig {
  slots = new Map()
  next = 0
  free = []

  constructor() {
    const { id, records, order } = native.attach(() => undefined)
    this.at = id
    this.records = new Float64Array(records)
    this.order = new Float64Array(order)
  }

  slot() {
    const op = this.free.pop() ?? this.next++
    this.slots.set(op, undefined)
    return op
  }

  /** Fetches ends; one of an operation that is not open is a finding. */
  drain() {
    for (let count = native.drain(this.at), index = 0; index < count * 3; index += 3) {
      const [op, state] = [this.records[index], this.records[index + 1]]
      if (op === NOBODY) continue
      if (!this.slots.has(op)) throw new Error(`operation ${op} ended twice, or was never begun`)
      const expected = this.slots.get(op)
      this.slots.delete(op)
      this.free.push(op)
      if (state === 1) native.detail(this.at, op)
      const failure = state === 2 ? native.failure(this.at, op) : undefined
      native.discard(this.at, op)
      expected?.(failure)
    }
  }

  async settled() {
    const until = performance.now() + PATIENCE_MS
    while (this.slots.size > 0) {
      if (performance.now() > until) throw new Error(`operations never ended: ${[...this.slots.keys()].slice(0, 8)}`)
      await setImmediate()
      this.drain()
    }
  }

  /** Issues one operation and waits for it; fails where it fails. */
  async done(issue) {
    let failed
    const op = this.slot()
    this.slots.set(op, (failure) => (failed = failure))
    const value = issue(op)
    await this.settled()
    if (failed) throw new Error(`${failed.code}: ${failed.message}`)
    return value
  }
}

/** A region, and what of it may have been touched since its bytes were last looked at. */
class Bytes {
  dirty = []
  open = true

  constructor(rig, endpoint, name, length, access, random) {
    const made = native.alloc(rig.at, endpoint, name, length, access)
    if (made.failure) throw new Error(made.failure.message)
    Object.assign(this, { handle: made.handle, address: made.address, length, access, name })
    this.view = new Uint8Array(native.regionBuffer(rig.at, made.handle))
    for (let at = 0; at < length; at++) this.view[at] = random.below(256)
    this.copy = this.view.slice()
  }

  /** Every byte that nobody was let touch is as it was. */
  check() {
    this.dirty.sort((a, b) => a[0] - b[0])
    let at = 0
    for (const [from, to] of [...this.dirty, [this.length, this.length]]) {
      if (from > at && Buffer.compare(this.view.subarray(at, from), this.copy.subarray(at, from)) !== 0) {
        throw new Error(`bytes of ${this.name} between ${at} and ${from} were touched`)
      }
      at = Math.max(at, to)
    }
    for (const [from, to] of this.dirty) this.copy.set(this.view.subarray(from, to), from)
    this.dirty = []
  }
}

const isWhole = (value) => Number.isSafeInteger(value) && value >= 0
const inside = (bytes, offset, length) => bytes !== undefined && isWhole(offset) && isWhole(length) && offset <= bytes.length && length <= bytes.length - offset

async function main() {
  const random = new Random(seed)
  const rig = new Rig()
  const context = native.context(rig.at, {}, undefined).handle
  const [target, initiator] = [native.endpoint(rig.at, context), native.endpoint(rig.at, context)]
  await rig.done((op) => native.listen(rig.at, op, target, '127.0.0.1', 0))
  const { port } = native.address(rig.at, target)
  const peer = await rig.done((op) => native.connect(rig.at, op, initiator, '127.0.0.1', port, false, PATIENCE_MS))
  const remote = [['canary 1', 4096, 'none'], ['page', 4096, 'readwrite'], ['canary 2', 100, 'none'], ['odd', 777, 'read'], ['inbox', 5000, 'write'], ['large', 40_000, 'readwrite']].map(
    ([name, length, access]) => new Bytes(rig, target, name, length, access, random)
  )
  const local = [['near canary', 4096], ['near', 4096], ['wide', 40_000], ['tiny', 1]].map(([name, length]) => new Bytes(rig, initiator, name, length, 'none', random))
  const all = [...remote, ...local]
  let stale = 0

  /** A number near something that there is, or one that is none. */
  const near = (value) => (random.once(3) ? random.pick(WILD) : value + (random.once(2) ? 0 : random.below(5) - 2))
  const handle = (right) => (random.once(4) ? random.pick([...WILD, peer, target, initiator, stale, right + 1, right + 2 ** 24, right - 2 ** 24, right + 0.5]) : right)
  const length = (most) => random.pick([0, 1, 64, most, most + 1, random.below(most + 1), random.pick(WILD)])

  /** The local and the remote end of an operation, which may be nonsense. */
  function ends() {
    const [here, there] = [random.pick(all), random.pick(remote)]
    const [offset, distance] = [random.once(2) ? 0 : near(random.below(here.length)), random.once(2) ? 0 : near(random.below(there.length))]
    return { region: handle(here.handle), offset, address: random.once(8) ? random.pick(WILD) : there.address + distance, length: length(Math.min(here.length, there.length)) }
  }

  const byHandle = (region) => all.find((bytes) => bytes.open && bytes.handle === region)
  const byAddress = (address, size) => remote.find((bytes) => bytes.open && isWhole(address) && inside(bytes, address - bytes.address, size))

  /** Notes what an operation may touch; whether it can come to a good end. */
  function allow(isRead, { region, offset, address, length: size }, isStaged) {
    const here = isStaged ? undefined : byHandle(region)
    const hasLocal = isStaged ? isWhole(size) : inside(here, offset, size)
    const there = byAddress(address, size)
    if (!hasLocal || there === undefined || !there.access.includes(isRead ? 'read' : 'write')) return false
    if (isRead && here !== undefined) here.dirty.push([offset, offset + size])
    if (!isRead) there.dirty.push([address - there.address, address - there.address + size])
    return true
  }

  /** What an end has to be. A good one where that is possible, and a failure where it is not. */
  const expect = (op, possible, what) =>
    rig.slots.set(op, (failure) => {
      if (possible !== (failure === undefined)) throw new Error(`${what} ${failure === undefined ? 'succeeded' : `failed with ${failure.code}`}`)
    })

  const calls = {
    transfer() {
      const isOdd = random.once(40)
      const op = isOdd ? random.pick(NO_OPERATION) : rig.slot()
      const [opcode, given] = [random.pick([1, 2, 2, 1, 0, 3, NaN]), ends()]
      // A write out of private memory that nobody filled writes zeroes: it is what it is.
      if (random.once(6)) given.region = -1
      const isStaged = given.region < 0
      const to = handle(peer)
      const isPossible = allow(opcode === 1, given, isStaged) && to === peer
      if (!isOdd) expect(op, isPossible, `transfer ${JSON.stringify({ opcode, to, ...given })}`)
      rig.order.set([1, op, to, opcode, given.region, given.offset, given.address, given.length, random.once(9) ? random.pick(WILD) : TIMEOUT_MS])
      if (random.once(30)) rig.order[0] = random.pick(WILD)
      if (rig.order[0] !== 1) {
        rig.order[0] = 0
        if (!isOdd) rig.slots.delete(op)
        if (!isOdd) rig.free.push(op)
      }
      native.transfer()
    },
    transferList() {
      const op = rig.slot()
      const count = random.below(6)
      const [to, opcode] = [handle(peer), random.pick([1, 2])]
      const entries = []
      let isPossible = to === peer
      for (let left = count; left > 0; left--) {
        const given = ends()
        // What is refused at the call is refused before anything of it is sent; what the peer refuses may leave the others applied.
        isPossible = allow(opcode === 1, given, false) && isPossible
        entries.push(given.region, given.offset, given.address, given.length)
      }
      if (random.once(12)) {
        entries.push(1)
        isPossible = false
      }
      // An empty list has its own way to end.
      if (entries.length > 0) expect(op, isPossible, `list ${JSON.stringify(entries)}`)
      native.transferList(rig.at, op, to, opcode, Float64Array.from(entries), TIMEOUT_MS)
      if (entries.length === 0) {
        rig.slots.delete(op)
        rig.slots.set(op, undefined)
      }
    },
    sendRegion() {
      const op = rig.slot()
      const given = ends()
      native.sendRegion(rig.at, op, handle(peer), given.region, given.offset, Math.min(given.length, 4096), near(7), 50)
    },
    recvRegion() {
      const op = rig.slot()
      const given = ends()
      const here = byHandle(given.region)
      if (inside(here, given.offset, given.length)) here.dirty.push([given.offset, given.offset + given.length])
      const owner = handle(target)
      native.recvRegion(rig.at, op, owner, given.region, given.offset, given.length, random.once(2) ? near(7) : -1, random.once(2), random.once(2) ? -1 : handle(peer))
      native.cancelReceive(rig.at, op, owner)
      if (random.once(2)) native.cancelReceive(rig.at, random.pick(NO_OPERATION), handle(target))
    },
    writeNotify() {
      const op = rig.slot()
      const given = ends()
      if (random.once(3)) given.region = -1
      allow(false, given, given.region < 0)
      native.writeNotify(rig.at, op, handle(peer), given.region, given.offset, given.address, given.length, near(7), 50)
    },
    writeBytes() {
      const op = rig.slot()
      const view = new Uint8Array(random.below(3000))
      const given = { ...ends(), length: view.length }
      const to = handle(peer)
      expect(op, allow(false, given, true) && to === peer, `writeBytes of ${view.length} at ${given.address}`)
      native.writeBytes(rig.at, op, to, given.address, view, TIMEOUT_MS)
    },
    stage() {
      const op = rig.slot()
      const size = random.pick([0, 1, 100, 5000, random.pick(WILD)])
      if (!native.stageBytes(rig.at, op, handle(peer), random.pick([1, 2, 0, NOBODY]), size)) return
      const view = new Uint8Array(random.below(6000))
      native.stageIn(rig.at, op, near(0), view)
      native.stageOut(rig.at, op, near(0), view)
      // Of an operation that is never issued there is no end.
      rig.slots.delete(op)
      rig.free.push(op)
      native.discard(rig.at, op)
      native.discard(rig.at, random.pick(NO_OPERATION))
    },
    copyOut() {
      const bytes = random.pick(all)
      const into = new Uint8Array(random.below(100))
      const guard = into.slice()
      const offset = near(random.below(bytes.length))
      native.copyOut(rig.at, handle(bytes.handle), offset, into)
      if (!isWhole(offset) && Buffer.compare(into, guard) !== 0) throw new Error(`copyOut from ${offset} copied`)
    },
    cancel() {
      native.cancel(rig.at, random.pick(NO_OPERATION), random.once(2) ? -1 : handle(peer))
    },
    region() {
      if (random.once(4)) {
        const gone = local.length > 4 ? local.pop() : undefined
        if (gone !== undefined) {
          all.splice(all.indexOf(gone), 1)
          stale = gone.handle
          native.closeRegion(rig.at, rig.slot(), gone.handle, near(10))
        }
        native.closeRegion(rig.at, rig.slot(), random.pick([...WILD, stale, peer + 0.5]), -1)
      } else if (local.length < 12) {
        const made = new Bytes(rig, initiator, `made ${local.length}`, 1 + random.below(3000), 'none', random)
        local.push(made)
        all.push(made)
      }
    },
  }
  // Regions come and go between rounds: what is under way when one closes ends in one way or the other.
  const { region: change, ...rest } = calls
  const weighted = [calls.transfer, calls.transfer, calls.transfer, ...Object.values(rest)]
  const until = performance.now() + Number(values.seconds) * 1000
  let [rounds, executions] = [0, 0]
  while (rounds < Number(values.rounds) || performance.now() < until) {
    for (let left = OPERATIONS_PER_ROUND; left > 0; left--) {
      random.pick(weighted)()
      executions++
    }
    await rig.settled()
    for (const bytes of all) bytes.check()
    if (random.once(3)) change()
    await rig.settled()
    rounds++
  }
  process.stdout.write(`${JSON.stringify({ executions, rounds })}\n`)
  for (const endpoint of [initiator, target]) await rig.done((op) => native.closeEndpoint(rig.at, op, endpoint, 100))
  await setTimeout(0)
}

await main()
