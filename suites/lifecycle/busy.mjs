/** Operations of every kind, many of them at any time, none of which matters. */
import { TcpEndpoint } from 'memlane'

const BYTES = 1 << 20

/** An endpoint whose region `shared` anybody may read and write. */
export async function shared() {
  const endpoint = await TcpEndpoint.listen()
  const region = endpoint.alloc('shared', BYTES, { access: 'readwrite' })
  const small = endpoint.alloc('small', 8, { access: 'read' })
  new Uint8Array(small.buffer).fill(7)
  return { endpoint, region }
}

/**
 * Keeps operations of every kind under way to `target` until `isOver` says so; `all` resolves then with how many have ended.
 * Receives that get nothing are left posted.
 */
export async function busy(target, { isOver = () => false, mayLose = false } = {}) {
  const endpoint = await TcpEndpoint.listen()
  const peer = await endpoint.connect(target)
  const scratch = endpoint.alloc('scratch', BYTES)
  for (let index = 0; index < 4; index++) {
    endpoint.recv(scratch).cancel()
    void endpoint.recv(index % 2 === 0 ? scratch : new Uint8Array(64), { tag: 99 }).wait().catch(() => {})
  }
  const kinds = [
    () => peer.read('shared', { into: scratch }),
    () => peer.read('shared'),
    () => peer.read('shared', { into: new Uint8Array(BYTES) }),
    () => peer.read('shared', { length: 64 }),
    () => peer.write('shared', scratch),
    () => peer.write('shared', new Uint8Array(BYTES)),
    () => peer.write('shared', new Uint8Array(64)),
    () => peer.refresh(),
  ]
  let ended = 0
  const turn = async (start) => {
    while (!isOver()) {
      await (mayLose ? lossy(start()) : start())
      ended++
    }
  }
  const all = Promise.all(kinds.flatMap((start) => [turn(start), turn(start)]))
  return { endpoint, peer, all: all.then(() => ended) }
}

/** An operation that may lose its connection to somebody else, whose half-sent body was given up. */
export async function lossy(operation) {
  try {
    await operation
  } catch (error) {
    if (error.code !== 'ERR_PEER_CLOSED') throw error
  }
}
