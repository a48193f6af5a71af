/** What a first program does, on whatever runs it. A step that the runtime cannot do ends this with its error and no failure. */
import { createRequire } from 'node:module'
import { check, ending, passed, url } from '../support.mjs'

const done = []
let step = 'load'

/** A crash of the runtime, or bytes that are wrong, are a failure all the same. */
class Wrong extends Error {}
const right = (holds, what) => {
  try {
    check(holds, what)
  } catch (error) {
    throw new Wrong(error.message)
  }
}

const steps = {
  load: () => ({ memlane: createRequire(import.meta.url)('../../../dist/index.js') }),
  listen: async ({ memlane }) => ({ target: await memlane.TcpEndpoint.listen(), endpoint: await memlane.TcpEndpoint.listen() }),
  alloc: ({ target }) => {
    const region = target.alloc('x', 1 << 20, { access: 'readwrite' })
    new Uint8Array(region.buffer).fill(7)
    return { region }
  },
  connect: async ({ endpoint, target }) => ({ peer: await endpoint.connect(url(target)) }),
  read: async ({ peer }) => right((await peer.read('x')).every((byte) => byte === 7), 'other bytes were read'),
  'read into a region': async ({ peer, endpoint }) => {
    const into = endpoint.alloc('into', 1 << 20)
    await peer.read('x', { into })
    right(new Uint8Array(into.buffer).every((byte) => byte === 7), 'other bytes were read')
  },
  write: async ({ peer, region }) => {
    await peer.write('x', new Uint8Array(1 << 20).fill(9))
    right(new Uint8Array(region.buffer).every((byte) => byte === 9) && region.text(0, 2) === '\t\t', 'other bytes were written')
  },
  'send and recv': async ({ peer, target }) => {
    const received = target.recv(new Uint8Array(16))
    await peer.send(new TextEncoder().encode('hello'))
    right(new TextDecoder().decode((await received).data) === 'hello', 'another message was received')
  },
  waitSync: ({ peer }) => right(peer.read('x', { length: 8 }).waitSync(10)?.length === 8, 'nothing was read'),
  cancel: async ({ target }) => {
    const receive = target.recv(new Uint8Array(16))
    receive.cancel()
    right((await ending(receive)) === 'ERR_ABORTED', 'a cancelled receive ends otherwise')
  },
  close: async ({ target, endpoint }) => {
    await endpoint.close()
    await target.close()
  },
}

const all = {}
try {
  for (const [name, run] of Object.entries(steps)) {
    step = name
    Object.assign(all, await run(all))
    done.push(name)
  }
  passed(done.join(', '))
} catch (error) {
  if (error instanceof Wrong) throw error
  console.log(`skipped: ${step}: ${error.message} (went well: ${done.join(', ') || 'nothing'})`)
}
