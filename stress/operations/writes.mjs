import { setTimeout as delay } from 'node:timers/promises'
import { ackOf, FACTS_BYTES, LARGE_BYTES } from '../layout.mjs'
import { TIMEOUT_MS } from '../ledger.mjs'
import { guardedView } from '../scratch.mjs'
import { TAGS } from './messages.mjs'
import { lookAt, readInto, young } from './reads.mjs'

/** Writes of unknown outcome that may lie over each other in one slot; beyond that none is given up any more. */
const MOST_UNSURE = 24
/** Longer writes are taken apart: when such a one fails, some of its pieces may have been applied. */
const PIECE_BYTES = 1 << 20

const address = (peer, region) => peer.regions.get(region)?.addr
const patient = (plan) => ({ ...plan, giveUp: { way: 'none' } })

/** Memory that holds what is to be written. */
function source(actor, bytes, fromView) {
  if (fromView) {
    const view = guardedView(bytes.byteLength)
    view.bytes.set(bytes)
    return { from: view.bytes, offset: 0, done: () => undefined, spoil: () => view.bytes.fill(0xee) }
  }
  const room = actor.scratch.take(bytes.byteLength)
  room.bytes.set(bytes)
  // Once it has ended nobody reads these bytes again: what is written over them must show up nowhere.
  return { from: actor.scratch.region, offset: room.offset, done: () => actor.scratch.retire(room), spoil: () => undefined }
}

/** What is known of a write from how it ended: applied, perhaps, or not at all. */
function outcome(end, whole) {
  if (end.error === undefined) return { sure: true }
  return whole && end.error.outcome !== 'unknown' ? undefined : { sure: false }
}

/** Writes the ranges at once, then reads them back. */
async function writeRanges(actor, wanted, kind, ranges) {
  const peer = await actor.peer(wanted.peer)
  if (peer === undefined) return
  const slot = actor.slot(wanted.peer, kind)
  const { region, base } = slot.place
  const before = address(peer, region)
  const plan = slot.model(before).unsure < MOST_UNSURE ? wanted : patient(wanted)
  const known = await Promise.all(
    ranges.map(async ({ offset, length, fromView }) => {
      const operation = actor.next()
      const { from, offset: sourceOffset, done, spoil } = source(actor, slot.bytes(operation, offset, length), fromView)
      const end = await actor.attempt('write', plan, (options) => {
        const future = peer.write(region, from, { ...options, sourceOffset, length, remoteOffset: base + offset })
        // A view was copied when the call returned.
        spoil()
        return future
      })
      done()
      if (end.error === undefined && end.value !== length) actor.fail(`a write of ${length} bytes gave ${end.value}`)
      const result = outcome(end, length <= PIECE_BYTES)
      return result && { ...result, operation, offset, length }
    })
  )
  slot.record(before, address(peer, region), known.filter((one) => one !== undefined))
  const [{ offset, length }] = ranges
  await lookAt(actor, patient(plan), kind, { offset, length }, 'private')
}

export function write(actor, plan) {
  return writeRanges(actor, plan, 'slot', plan.writes)
}

/** More than one piece, over several lanes. */
export async function large(actor, plan) {
  if (actor.actor === 0) {
    const range = { offset: plan.offset, length: Math.min(plan.length, LARGE_BYTES - plan.offset) }
    if (plan.write) return writeRanges(actor, plan, 'large', [{ ...range, fromView: plan.local === 'view' }])
    return lookAt(actor, plan, 'large', range, plan.local)
  }
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  const range = { offset: plan.offset, length: Math.min(plan.length, FACTS_BYTES - plan.offset) }
  let seen
  await readInto(actor, peer, plan, 'facts', range, plan.local, (bytes) => (seen = bytes.slice()))
  if (seen !== undefined) actor.checkFacts(plan.peer, seen, range.offset, young(actor, peer, plan.peer))
}

/** Many ranges as one operation, from objects or descriptors. */
export async function writeBatch(actor, wanted) {
  const peer = await actor.peer(wanted.peer)
  if (peer === undefined) return
  const slot = actor.slot(wanted.peer, 'slot')
  const { region, base } = slot.place
  const before = address(peer, region)
  const plan = slot.model(before).unsure < MOST_UNSURE ? wanted : patient(wanted)
  const operation = actor.next()
  const sources = plan.entries.map(({ offset, length, inView }) =>
    source(actor, slot.bytes(operation, offset, length), inView && !plan.descriptors)
  )
  const end = await actor.attempt('write batch', plan, (options) => {
    if (plan.descriptors) {
      const numbers = plan.entries.flatMap(({ offset, length }, at) => [sources[at].offset, base + offset, length])
      return peer.writeBatch(Float64Array.from(numbers), { ...options, remote: region, local: actor.scratch.region })
    }
    const assignments = plan.entries.map(({ offset, length }, at) => ({
      local: sources[at].from,
      localOffset: sources[at].offset,
      remote: region,
      remoteOffset: base + offset,
      length,
    }))
    const future = peer.writeBatch(assignments, options)
    for (const { spoil } of sources) spoil()
    return future
  })
  for (const { done } of sources) done()
  const total = plan.entries.reduce((sum, { length }) => sum + length, 0)
  if (end.error === undefined && end.value !== total) actor.fail(`a batch of ${total} bytes gave ${end.value}`)
  const sure = end.error === undefined
  // A batch that failed may have been applied in part.
  slot.record(before, address(peer, region), plan.entries.map(({ offset, length }) => ({ operation, offset, length, sure })))
}

/**
 * A write that its target is told of by a message. The target looks at the bytes then, and says so in `acks`; until that is
 * read there, the next one has to wait.
 */
export async function notify(actor, plan) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  const slot = actor.slot(plan.peer, 'note')
  const { region, base } = slot.place
  const before = address(peer, region)
  const { retired } = actor
  if (before === undefined || retired.has(before)) return actor.ledger.count('note not acknowledged', 'skipped')
  const operation = actor.next()
  const { from, offset, done } = source(actor, slot.bytes(operation, plan.offset, plan.length), plan.fromView)
  const { length } = plan
  const end = await actor.attempt('notified write', plan, (options) =>
    peer.write(region, from, { ...options, notify: TAGS.note, sourceOffset: offset, length, remoteOffset: base + plan.offset })
  )
  done()
  const acknowledged = end.error === undefined && (await acknowledgement(actor, peer, operation, before))
  if (acknowledged) return
  // Whoever looks at it may still be about to: nothing may be written there until the region is another one. A write that
  // was told of a new region went to that one.
  for (const one of [before, address(peer, region)]) retired.add(one)
}

async function acknowledgement(actor, peer, operation, before) {
  for (let round = 0; round < 50; round++) {
    const remoteOffset = ackOf(actor.process, actor.actor)
    const { value } = await actor.follow('read', () => peer.read('acks', { remoteOffset, length: 4, timeoutMs: TIMEOUT_MS }))
    if (value === undefined || address(peer, 'cells') !== before) return false
    const seen = new DataView(value.buffer, value.byteOffset).getUint32(0, true)
    if (seen === operation) {
      actor.ledger.count('note acknowledged', 'ok')
      return true
    }
    if (seen > operation) {
      actor.fail(`the target acknowledges note ${seen}, the last one written was ${operation}`)
      return false
    }
    await delay(5)
  }
  return false
}
