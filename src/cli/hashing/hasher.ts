import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Feed, Hashed } from './worker.js'

interface Waiting {
  resolve(digest: Buffer): void
  reject(error: Error): void
}

/** SHA-256 of ranges of files, read by a thread of its own, so that nobody waits for it who does not want its result. */
export class Hasher {
  #worker: Worker | undefined
  #last = 0
  readonly #waiting = new Map<number, Waiting>()

  /** Starts a hash: its number, and what comes of it once its last range is in. */
  begin(): { id: number; digest: Promise<Buffer> } {
    const id = ++this.#last
    const digest = new Promise<Buffer>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    // Whoever gives up does not wait for it.
    digest.catch(() => undefined)
    return { id, digest }
  }

  /** Puts a range of an open file into a hash. The descriptor stays open until the hash has ended, or the hasher. */
  feed(feed: Feed): void {
    const worker = (this.#worker ??= this.#start())
    worker.postMessage(feed)
  }

  /** The SHA-256 of one range. */
  of(fd: number, offset: number, length: number): Promise<Buffer> {
    const { id, digest } = this.begin()
    this.feed({ id, fd, offset, length, isLast: true })
    return digest
  }

  /** Ends the thread: nothing is read any more. */
  async end(): Promise<void> {
    await this.#worker?.terminate()
    this.#failAll(new Error('the hash was given up'))
  }

  #start(): Worker {
    const worker = new Worker(join(__dirname, 'worker.js'))
    worker.on('message', ({ id, digest, error }: Hashed) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (digest === undefined) waiting?.reject(error as Error)
      else waiting?.resolve(Buffer.from(digest))
    })
    worker.on('error', (error: Error) => this.#failAll(error))
    return worker
  }

  #failAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
