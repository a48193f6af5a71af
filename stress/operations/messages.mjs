import { mark } from '../layout.mjs'
import { pattern } from '../pattern.mjs'
import { messageBytes } from '../plan.mjs'
import { guardedView } from '../scratch.mjs'

export const TAGS = { message: 1, stream: 2, note: 3 }

/** Messages for the receives of a peer, under way at once. Those that succeed must turn up there, each once. */
export function send(actor, plan) {
  return sendAll(actor, plan, 'message')
}

/** Messages for the stream of a peer. */
export function stream(actor, plan) {
  return sendAll(actor, plan, 'stream')
}

async function sendAll(actor, plan, kind) {
  const peer = await actor.peer(plan.peer)
  if (peer === undefined) return
  const mine = mark(actor.process, actor.actor, plan.peer, kind)
  await Promise.all(
    Array.from({ length: plan.messages }, async () => {
      const operation = actor.next()
      const length = messageBytes(mine, operation)
      const bytes = pattern(mine, operation, 0, length)
      const room = plan.fromView ? guardedView(length) : actor.scratch.take(length)
      room.bytes.set(bytes)
      const end = await actor.attempt('send', plan, (options) => {
        if (!plan.fromView) {
          return peer.send(actor.scratch.region, { ...options, tag: TAGS[kind], sourceOffset: room.offset, length })
        }
        const future = peer.send(room.bytes, { ...options, tag: TAGS[kind] })
        room.bytes.fill(0xee)
        return future
      })
      if (!plan.fromView) actor.scratch.retire(room)
      if (end.error === undefined) {
        if (end.value !== length) actor.fail(`a message of ${length} bytes gave ${end.value}`)
        actor.acknowledged(mine, operation)
      }
    })
  )
}
