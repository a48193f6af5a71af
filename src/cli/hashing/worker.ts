import { createHash, type Hash } from 'node:crypto'
import { readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'

/** A range of a file that goes into the hash of that number; the last one ends it. */
export interface Feed {
  id: number
  fd: number
  offset: number
  length: number
  isLast: boolean
}

/** What came of a hash. */
export interface Hashed {
  id: number
  digest?: Uint8Array
  error?: Error
}

const CHUNK_BYTES = 1 << 20
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
const hashes = new Map<number, Hash>()

function feed({ id, fd, offset, length, isLast }: Feed): Hashed | undefined {
  const hash = hashes.get(id) ?? createHash('sha256')
  hashes.set(id, hash)
  for (let done = 0; done < length; ) {
    const count = readSync(fd, chunk, 0, Math.min(CHUNK_BYTES, length - done), offset + done)
    if (count === 0) throw new Error('the file ends before it should')
    hash.update(chunk.subarray(0, count))
    done += count
  }
  if (!isLast) return undefined
  hashes.delete(id)
  return { id, digest: hash.digest() }
}

parentPort?.on('message', (message: Feed) => {
  let result: Hashed | undefined
  try {
    result = feed(message)
  } catch (error) {
    hashes.delete(message.id)
    result = { id: message.id, error: error as Error }
  }
  if (result !== undefined) parentPort?.postMessage(result)
})
