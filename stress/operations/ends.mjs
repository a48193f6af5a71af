import { setTimeout as delay } from 'node:timers/promises'
import { CANARY_BYTES, FACTS_BYTES } from '../layout.mjs'
import { TIMEOUT_MS } from '../ledger.mjs'
import { readInto } from './reads.mjs'

const CLOSED = { may: ['ERR_CLOSED'] }
const patient = (plan) => ({ ...plan, giveUp: { way: 'none' } })

/** What no peer may do, and what it is told. */
export async function probe(actor, plan) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  const bytes = new Uint8Array(64).fill(0xbd)
  const [code, start] = {
    beyond: ['ERR_OUT_OF_RANGE', () => peer.read('facts', { remoteOffset: FACTS_BYTES - 8, length: 16 })],
    access: ['ERR_ACCESS', () => peer.write('facts', bytes, { remoteOffset: 4096, timeoutMs: TIMEOUT_MS })],
    canary: ['ERR_ACCESS', () => peer.write('canary', bytes, { remoteOffset: CANARY_BYTES / 2, timeoutMs: TIMEOUT_MS })],
    nowhere: ['ERR_REGION_NOT_FOUND', () => peer.read('no such region', { timeoutMs: TIMEOUT_MS })],
  }[plan.what]
  const { error } = await actor.follow('probe', start, { may: [code] })
  if (error === undefined) actor.fail(`a probe (${plan.what}) succeeded instead of ${code}`)
}

export async function refresh(actor, plan) {
  const peer = await actor.peer(plan.peer)
  if (peer !== undefined) await actor.attempt('describe', plan, (options) => peer.refresh(options))
}

/** A peer of its own, by each way to name one, which may be given up at any point. */
export async function connect(actor, plan) {
  const port = actor.ports[plan.peer]
  const info = { host: '127.0.0.1', port, memlane: { version: 1 } }
  const target = { url: actor.url(plan.peer), info, json: JSON.stringify(info) }[plan.by]
  const { value: peer } = await actor.attempt('connect', plan, (options) => actor.endpoint.connect(target, options))
  if (peer === undefined) return
  await readInto(actor, peer, patient(plan), 'facts', plan.read, 'private', (bytes) =>
    actor.checkFacts(plan.peer, bytes, plan.read.offset, true)
  )
  await actor.follow('close', () => peer.close())
}

/** Reads that are under way when something of their own is closed, each of which ends all the same. */
async function closing(actor, plan, peer, close) {
  const local = plan.kind === 'closePeer' ? 'view' : 'region'
  const reads = plan.reads.map((range) =>
    readInto(actor, peer, patient(plan), 'facts', range, local, (bytes) => actor.checkFacts(plan.peer, bytes, range.offset, true), CLOSED)
  )
  if (plan.number % 2 === 0) await delay(plan.number % 5)
  await close()
  await Promise.all(reads)
}

export async function closePeer(actor, plan) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  actor.forget(plan.peer)
  await closing(actor, plan, peer, () => actor.follow('close', () => Promise.all([peer.close(), peer.close()])))
}

/** Bytes of a read that is under way may still come in until the fence holds, and not one of them after that. */
export async function closeScratch(actor, plan) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  await closing(actor, plan, peer, async () => {
    await actor.follow('fence', () => actor.scratch.region.close())
    actor.buryScratch()
  })
  actor.makeScratch()
}

export async function closeEndpoint(actor, plan) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  await closing(actor, plan, peer, () => actor.close())
  await actor.open()
}
