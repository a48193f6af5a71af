import { guardedView, guardsOf, poison, poisoned } from '../scratch.mjs'

const address = (peer, region) => peer.regions.get(region)?.addr

/** Where a read goes, and what is looked at when it has ended. */
function destination(actor, local, length) {
  if (local === 'private') return { options: {}, bytes: (value) => value }
  if (local === 'view') {
    const view = guardedView(length)
    return { options: { into: view.bytes }, bytes: () => view.bytes, view }
  }
  const room = actor.scratch.take(length)
  return { options: { into: actor.scratch.region, intoOffset: room.offset }, bytes: () => room.bytes, room }
}

/** Looks at memory of an operation that has ended: guards, and all of a view whose operation has failed. */
function settle(actor, { view, room }, failed) {
  if (room !== undefined) actor.scratch.retire(room)
  if (view === undefined) return
  const wrong = guardsOf(view) ?? (failed ? poisoned(view.bytes) : undefined)
  if (wrong !== undefined) actor.fail(`a view was touched where it may not be: ${wrong}`)
  poison(view.whole)
}

/** One read and what came of it; `show` is given the bytes. */
export async function readInto(actor, peer, plan, name, range, local, show, more) {
  const into = destination(actor, local, range.length)
  const { value, error } = await actor.attempt(
    'read',
    plan,
    (options) => peer.read(name, { ...options, ...into.options, remoteOffset: range.offset, length: range.length }),
    more
  )
  if (error === undefined) {
    const count = typeof value === 'number' ? value : value.byteLength
    if (count !== range.length) actor.fail(`a read of ${range.length} bytes gave ${count}`)
    show(into.bytes(value))
  }
  settle(actor, into, error !== undefined)
  return error
}

/** Facts are filled right behind the `alloc` that shows them: so long after a region was first seen they may be zeros. */
const YOUNG_MS = 2000

/** Whether facts that were just read may be zeros still. */
export function young(actor, peer, number) {
  const now = { address: address(peer, 'facts'), since: performance.now() }
  const known = actor.known.get(number)
  if (known !== undefined && known.address === now.address) return now.since - known.since < YOUNG_MS
  actor.known.set(number, now)
  return true
}

/** Reads under way at once, each of which has to get its own bytes. */
export async function read(actor, plan) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  const results = []
  const keep = (range) => (bytes) => results.push([range, bytes.slice()])
  await Promise.all(plan.reads.map((range) => readInto(actor, peer, plan, 'facts', range, range.local, keep(range))))
  const fresh = young(actor, peer, plan.peer)
  for (const [{ offset }, bytes] of results) actor.checkFacts(plan.peer, bytes, offset, fresh)
}

/** Reads back what this actor has written; nobody else may have touched it. */
export function look(actor, plan) {
  return lookAt(actor, plan, 'slot', plan, 'region')
}

export async function lookAt(actor, plan, kind, { offset, length }, local) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  const slot = actor.slot(plan.peer, kind)
  const { region, base } = slot.place
  const before = address(peer, region)
  let seen
  await readInto(actor, peer, plan, region, { offset: base + offset, length }, local, (bytes) => (seen = bytes.slice()))
  if (seen === undefined || before === undefined) return
  if (address(peer, region) !== before) return actor.ledger.count('region moved under a look', 'ok')
  const wrong = slot.model(before).check(seen, offset)
  if (wrong !== undefined) actor.fail(`${kind} at process ${plan.peer}: ${wrong}`)
}

/** Many ranges as one operation, from objects or descriptors. */
export async function readBatch(actor, plan) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  const places = plan.entries.map((entry) => destination(actor, entry.inView && !plan.descriptors ? 'view' : 'region', entry.length))
  const { error, value } = await actor.attempt('read batch', plan, (options) => {
    if (plan.descriptors) {
      const numbers = plan.entries.flatMap(({ offset, length }, at) => [places[at].room.offset, offset, length])
      return peer.readBatch(Float64Array.from(numbers), { ...options, remote: 'facts', local: actor.scratch.region })
    }
    const assignments = plan.entries.map(({ offset, length }, at) => ({
      remote: 'facts',
      remoteOffset: offset,
      length,
      ...(places[at].view === undefined ? { local: actor.scratch.region, localOffset: places[at].room.offset } : { local: places[at].view.bytes }),
    }))
    return peer.readBatch(assignments, options)
  })
  checkEntries(actor, plan, peer, places, error, value)
  for (const place of places) settle(actor, place, error !== undefined)
}

function checkEntries(actor, plan, peer, places, error, value) {
  if (error !== undefined) return
  const total = plan.entries.reduce((sum, { length }) => sum + length, 0)
  if (value !== total) actor.fail(`a batch of ${total} bytes gave ${value}`)
  const fresh = young(actor, peer, plan.peer)
  for (const [at, { offset }] of plan.entries.entries()) actor.checkFacts(plan.peer, places[at].bytes(), offset, fresh)
}

/** One batch, prepared once and started several times at once: every start reads the same bytes into the same memory. */
export async function prepared(actor, plan) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  const places = plan.entries.map(({ length }) => destination(actor, 'region', length))
  const entries = plan.entries.map(({ offset, length }, at) => ({
    remote: 'facts',
    remoteOffset: offset,
    local: actor.scratch.region,
    localOffset: places[at].room.offset,
    length,
  }))
  let batch
  try {
    batch = peer.prepare('read', entries)
  } catch (error) {
    // Between two generations of the region there is none to prepare for.
    if (error.code !== 'ERR_REGION_NOT_FOUND') throw error
    return
  }
  const starts = Array.from({ length: plan.starts }, () => actor.attempt('prepared batch', plan, (options) => batch.start(options)))
  const ends = await Promise.all(starts)
  const value = ends.find(({ error }) => error === undefined)?.value
  // A start that has failed may have left bytes of its own: they are the same ones.
  checkEntries(actor, plan, peer, places, value === undefined ? ends[0].error : undefined, value)
  for (const place of places) settle(actor, place, true)
}

/** Reads by DLSlime's wire, which has no status frames: answers are told apart by their order alone. */
export async function legacy(actor, plan) {
  const native = await actor.peer(plan.peer)
  if (native === undefined) return
  const regions = Object.fromEntries(native.regions)
  const info = { host: '127.0.0.1', port: actor.ports[plan.peer], mr_info: regions }
  const { value: peer } = await actor.follow('connect', () => actor.endpoint.connect(info))
  if (peer === undefined) return
  const results = await Promise.all(
    plan.reads.map(async (range) => {
      // A region that the peer does not list now is a refusal at once, as on the native wire.
      if (regions.facts === undefined) return undefined
      const { value } = await actor.attempt('legacy read', plan, (options) =>
        peer.read('facts', { ...options, remoteOffset: range.offset, length: range.length })
      )
      return value
    })
  )
  for (const [at, bytes] of results.entries()) {
    if (bytes !== undefined) actor.checkFacts(plan.peer, bytes, plan.reads[at].offset, true)
  }
  await actor.follow('close', () => peer.close())
}
