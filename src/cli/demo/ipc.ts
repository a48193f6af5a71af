/** Messages over the channel of `child_process`, with the serialization that carries bytes as bytes. */
import type { ChildProcess } from 'node:child_process'
import type { Link, Served } from './link.js'

interface Question {
  readAt?: number
  length: number
}

/** Runs in the target: answers on the channel to the process that forked it. */
export function serveIpc(memory: Uint8Array): Served {
  const onMessage = ({ readAt, length }: Question): void => {
    // An initiator that has ended misses no answer.
    if (readAt !== undefined) process.send?.({ answer: memory.subarray(readAt, readAt + length) }, undefined, undefined, () => {})
  }
  process.on('message', onMessage)
  return {
    async close() {
      process.off('message', onMessage)
    },
  }
}

/** Runs in the initiator. Answers come in the order of the questions. */
export function dialIpc(child: ChildProcess, bytes: number): Link {
  const memory = new Uint8Array(bytes)
  const waiting: { resolve: () => void; reject: (error: Error) => void; offset: number }[] = []
  const onMessage = ({ answer }: { answer?: Uint8Array }): void => {
    if (answer === undefined) return
    const first = waiting.shift()
    memory.set(answer, first?.offset)
    first?.resolve()
  }
  const onDisconnect = (): void => {
    for (const { reject } of waiting.splice(0)) reject(new Error('child_process IPC: the target process has ended'))
  }
  child.on('message', onMessage)
  child.on('disconnect', onDisconnect)
  return {
    memory,
    read: (offset, length) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({ resolve, reject, offset })
        child.send({ readAt: offset, length } satisfies Question, (error) => {
          if (error !== null) reject(error)
        })
      }),
    async close() {
      child.off('message', onMessage)
      child.off('disconnect', onDisconnect)
    },
  }
}
