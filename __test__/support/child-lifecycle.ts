// Programs about when a process may end, and how, with operations under way. Each says on its output what it came to.
import { type Peer, TcpEndpoint } from 'memlane'
import { endWithParent } from './child-parent'
import { fill, url } from './pair'

const collect = (globalThis as unknown as { gc(): void }).gc

async function connected(): Promise<{ target: TcpEndpoint; initiator: TcpEndpoint; peer: Peer }> {
  const target = await TcpEndpoint.listen()
  const initiator = await TcpEndpoint.listen()
  return { target, initiator, peer: await initiator.connect(url(target)) }
}

/** Operations of every kind, many of them, none of which has ended. */
async function underWay(): Promise<void> {
  const { target, initiator, peer } = await connected()
  target.alloc('x', 16 << 20, { access: 'readwrite' })
  const scratch = initiator.alloc('scratch', 16 << 20)
  await peer.refresh()
  for (let index = 0; index < 50; index++) {
    peer.read('x', { into: scratch })
    peer.read('x')
    peer.read('x', { into: new Uint8Array(1 << 20) })
    peer.write('x', scratch)
    peer.write('x', new Uint8Array(1 << 20))
    peer.send(new Uint8Array(100), { tag: 1 })
    target.recv(scratch, { tag: 2 })
    target.recv(new Uint8Array(100), { tag: 2 })
  }
}

const programs: Record<string, () => Promise<void>> = {
  /** Endpoints, regions, peers and a connection, and nothing to do. */
  async idle() {
    const { target, peer } = await connected()
    fill(target.alloc('x', 8, { access: 'read' }).buffer, new Uint8Array(8).fill(1))
    await peer.read('x')
    process.on('exit', () => console.log('idle', target.closed))
  },

  /** Nothing to do but to be there, for as long as somebody is connected. */
  async held() {
    const endpoint = (await TcpEndpoint.listen()).ref().ref()
    endpoint.alloc('x', 8, { access: 'read' })
    endpoint.on('disconnect', () => void endpoint.close().then(() => console.log('closed')))
    process.send?.({ url: url(endpoint) })
    process.on('exit', () => console.log('ended', endpoint.closed))
  },

  /** The same, taken back: also by a close before, and twice. */
  async released() {
    const [one, other, third] = await Promise.all([TcpEndpoint.listen(), TcpEndpoint.listen(), TcpEndpoint.listen()])
    one.ref().unref().unref()
    await other.ref().close()
    await third.close()
    third.ref()
    process.on('exit', () => console.log('idle', one.closed))
  },

  /** A name that is renewed, and nothing to do. */
  async named() {
    await TcpEndpoint.listen({ name: 'x' })
    process.on('exit', () => console.log('idle'))
  },

  /** A connect to a name is all that holds it: the directory does not answer, and has nothing that would. */
  async waiting() {
    const lookup = () => new Promise<undefined>(() => undefined)
    const endpoint = await TcpEndpoint.listen({ directory: { announce: () => Promise.reject(new Error('unused')), lookup } })
    const connecting = endpoint.connect({ name: 'x' }, { timeoutMs: 300 })
    await connecting.wait().catch((error: { code: string }) => console.log(error.code))
  },

  /** A receive is all that holds it. */
  async pending() {
    const endpoint = await TcpEndpoint.listen()
    const receive = endpoint.recv(new Uint8Array(16))
    void receive.then(({ data }) => console.log('received', Buffer.from(data).toString()))
    process.send?.({ url: url(endpoint) })
  },

  /** The last operation is cancelled: nothing holds it any more. */
  async cancelled() {
    const endpoint = await TcpEndpoint.listen()
    const receive = endpoint.recv(new Uint8Array(16))
    receive.cancel()
    await receive.wait().catch((error: { code: string }) => console.log(error.code))
  },

  async exit() {
    await underWay()
    process.exit(7)
  },

  async throw() {
    await underWay()
    setImmediate(() => {
      throw new Error('thrown on purpose')
    })
  },

  async sigterm() {
    await underWay()
    process.kill(process.pid, 'SIGTERM')
  },

  /** Everything that JavaScript holds of running operations goes, all the time. */
  async collect() {
    const { target, initiator, peer } = await connected()
    target.alloc('x', 1 << 20, { access: 'readwrite' })
    await peer.refresh()
    const burst = (round: number) => {
      const scratch = initiator.alloc(`scratch ${round}`, 1 << 20)
      void new Uint8Array(scratch.buffer)
      const view = new Uint8Array(1 << 20)
      const reads = [peer.read('x', { into: scratch }), peer.read('x', { into: view }), peer.read('x'), peer.write('x', view)]
      return { closing: scratch.close(), ended: Promise.allSettled(reads.map((read) => read.wait())) }
    }
    for (let round = 0; round < 100; round++) {
      const { closing, ended } = burst(round)
      collect()
      await closing
      collect()
      await ended
    }
    await initiator.close()
    await target.close()
    console.log('collected')
  },

  /** The memory of every view is taken away while something is under way with it. */
  async detach() {
    const { target, initiator, peer } = await connected()
    const region = target.alloc('x', 1 << 20, { access: 'readwrite' })
    const scratch = initiator.alloc('scratch', 1 << 20)
    await peer.refresh()
    const take = (buffer: ArrayBuffer) => {
      try {
        structuredClone(buffer, { transfer: [buffer] })
      } catch {
        // An external ArrayBuffer may refuse.
      }
    }
    for (let round = 0; round < 50; round++) {
      const view = new Uint8Array(1 << 20)
      const source = new Uint8Array(1 << 20)
      const message = new Uint8Array(16)
      const operations = [
        peer.read('x', { into: view }),
        peer.read('x', { into: scratch }),
        peer.write('x', source),
        peer.write('x', scratch),
        target.recv(message),
        peer.send(source, { length: 16 }),
      ]
      for (const { buffer } of [view, source, message]) take(buffer)
      take(scratch.buffer)
      take(region.buffer)
      await Promise.allSettled(operations.map((operation) => operation.wait()))
      collect()
    }
    console.log('detached', (await peer.read('x')).byteLength)
    await initiator.close()
    await target.close()
  },

  /** Closing everything at once, with everything under way. */
  async close() {
    const { target, initiator, peer } = await connected()
    const region = target.alloc('x', 16 << 20, { access: 'readwrite' })
    const scratch = initiator.alloc('scratch', 16 << 20)
    await peer.refresh()
    const operations = [
      ...Array.from({ length: 20 }, () => peer.read('x', { into: scratch })),
      ...Array.from({ length: 20 }, () => peer.write('x', scratch)),
      target.recv(new Uint8Array(8)),
    ]
    const settled = Promise.allSettled(operations.map((operation) => operation.wait()))
    await Promise.all([region.close(), peer.close(), scratch.close(), initiator.close(), target.close()])
    console.log('closed', (await settled).length)
  },
}

async function main(): Promise<void> {
  endWithParent()
  await programs[process.argv[2] ?? '']?.()
}

void main()
