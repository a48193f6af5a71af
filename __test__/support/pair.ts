import type { ExecutionContext } from 'ava'
import { type ListenOptions, type Peer, TcpEndpoint } from 'memlane'

export interface Pair {
  /** Whose regions are reached, and who receives. */
  target: TcpEndpoint
  /** Who reads, writes and sends. */
  initiator: TcpEndpoint
  /** The target as the initiator sees it. */
  peer: Peer
}

/** An endpoint that is gone when the test ends. */
export async function endpoint(t: ExecutionContext, options: ListenOptions = {}): Promise<TcpEndpoint> {
  const made = await TcpEndpoint.listen(options)
  t.teardown(() => made.close())
  return made
}

/** Two endpoints in this process, one connected to the other; both are gone when the test ends. */
export async function pair(t: ExecutionContext, options: ListenOptions = {}): Promise<Pair> {
  const target = await endpoint(t, options)
  const initiator = await endpoint(t, options)
  return { target, initiator, peer: await initiator.connect(url(target)) }
}

export function url({ host, port }: { host: string; port: number }): string {
  return `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** What `call` throws, at the call. */
export function thrown(call: () => unknown): Error & { code?: string } {
  try {
    call()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

/** Bytes that say where they are: each differs from its neighbours, and from those a page further. */
export function counting(length: number, from = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = (index + from) * 31 + ((index + from) >> 8)
  return bytes
}

export function fill(buffer: ArrayBuffer, bytes: Uint8Array): void {
  new Uint8Array(buffer).set(bytes)
}

/** Whether two byte sequences are the same; a difference is told by its place, not by a megabyte of hex. */
export function same(t: ExecutionContext, actual: Uint8Array, expected: Uint8Array, what = 'the bytes'): void {
  if (Buffer.compare(actual, expected) === 0) {
    t.pass()
    return
  }
  const lengths = `${actual.byteLength} and ${expected.byteLength} bytes`
  const at = actual.findIndex((byte, index) => byte !== expected[index])
  t.fail(`${what} differ at ${at}: ${actual[at]} is not ${expected[at]} (${lengths})`)
}
