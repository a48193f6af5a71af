/**
 * What Node has built in for two processes: messages over the channel of `child_process`, with the serialization that
 * carries bytes as bytes. Every byte passes through both event loops and is copied on the way.
 */
import { startPair } from '../support/pair.mjs'

export const name = 'child_process IPC'

export const start = (options) => startPair(import.meta.url, options)

/** Runs in the target: answers on the channel to the process that started it. */
export async function serve({ bytes, channel }) {
  const memory = Buffer.alloc(bytes)
  // An initiator that has ended misses no answer.
  const answer = (body) => channel.send({ answer: body }, () => {})
  const onMessage = (message) => {
    if (message.readAt !== undefined) {
      answer(memory.subarray(message.readAt, message.readAt + message.length))
    } else if (message.writeAt !== undefined) {
      memory.set(message.bytes, message.writeAt)
      answer(null)
    }
  }
  channel.on('message', onMessage)
  return { address: null, memory, connections: () => 1, close: async () => channel.off('message', onMessage) }
}

/** Runs in the initiator: `channel` is the target's `ChildProcess`. Answers come in the order of the requests. */
export async function dial({ bytes, channel }) {
  const memory = Buffer.alloc(bytes)
  const waiting = []
  const onMessage = (message) => {
    if (message.answer === undefined) return
    const { resolve, offset, length } = waiting.shift()
    if (message.answer !== null) memory.set(message.answer, offset)
    resolve(length)
  }
  const onDisconnect = () => {
    for (const { reject } of waiting.splice(0)) reject(new Error('child_process IPC: the target ended'))
  }
  const request = (message, offset, length) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject, offset, length })
      channel.send(message, (error) => error && reject(error))
    })
  channel.on('message', onMessage)
  channel.on('disconnect', onDisconnect)
  return {
    memory,
    read: (offset, length) => request({ readAt: offset, length }, offset, length),
    write: (offset, length) =>
      request({ writeAt: offset, bytes: memory.subarray(offset, offset + length) }, offset, length),
    async close() {
      channel.off('message', onMessage)
      channel.off('disconnect', onDisconnect)
    },
  }
}
