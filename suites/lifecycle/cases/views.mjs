/** Everything that JavaScript can do to the memory of an operation while that is under way, and to views of what is closed. */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { TcpEndpoint } from 'memlane'
import { check, ending, passed, settings, turns, url } from '../support.mjs'

const BYTES = 256 << 10

/** The ways in which a buffer can be taken away; those that this runtime has. */
const TAKINGS = {
  'structuredClone': (buffer) => structuredClone(buffer, { transfer: [buffer] }),
  'postMessage': (buffer) => new MessageChannel().port1.postMessage(buffer, [buffer]),
  ...(ArrayBuffer.prototype.transfer && { 'transfer': (buffer) => buffer.transfer() }),
  ...(ArrayBuffer.prototype.transfer && { 'transfer to another length': (buffer) => buffer.transfer(1) }),
}

async function main() {
  const target = await TcpEndpoint.listen()
  const endpoint = await TcpEndpoint.listen()
  const region = target.alloc('x', BYTES, { access: 'readwrite' })
  const peer = await endpoint.connect(url(target))
  const all = { target, endpoint, region, peer }
  await resizable(all)
  const worker = new Worker(new URL(import.meta.url))
  const ends = {}
  let taken = 0
  for (let round = 0; round < settings.rounds; round++) {
    for (const take of Object.values(TAKINGS)) {
      taken += await whileUnderWay(all, `scratch ${round}`, take, ends)
      await duringTheCall(all, take)
    }
    await overTheirLife(round, worker)
    globalThis.gc()
  }
  await worker.terminate()
  check((await peer.read('x')).byteLength === BYTES, 'the peer does not go on')
  await endpoint.close()
  await target.close()
  const codes = Object.entries(ends).map(([code, count]) => `${count} ${code}`).join(', ')
  passed(`${taken} buffers taken away by ${Object.keys(TAKINGS).join(', ')}; operations: ${codes}`)
}

/** Operations over buffers that are taken away in the next moment. What they end with is theirs; that they end is ours. */
async function whileUnderWay({ target, endpoint, region, peer }, name, take, ends) {
  const scratch = endpoint.alloc(name, BYTES)
  const views = Array.from({ length: 5 }, () => new Uint8Array(BYTES))
  const [into, source, message, room, part] = views
  const operations = [
    peer.read('x', { into }),
    peer.read('x', { into: scratch }),
    peer.write('x', source),
    peer.write('x', scratch),
    target.recv(room, { tag: 1 }),
    peer.send(message, { length: 64, tag: 1 }),
    peer.readBatch([{ remote: 'x', local: part, length: 4096 }]),
  ].map(ending)
  let count = 0
  for (const buffer of [...views.map((view) => view.buffer), scratch.buffer, region.buffer]) {
    try {
      take(buffer)
      count++
    } catch (error) {
      // A region's may refuse to go.
      check(error instanceof TypeError || error.name === 'DataCloneError', `another refusal: ${error}`)
    }
  }
  globalThis.gc()
  for (const code of await Promise.all(operations)) ends[code] = (ends[code] ?? 0) + 1
  check(scratch.copyOut().byteLength === BYTES && region.copyOut(0, 8).byteLength === 8, 'a region has lost its bytes')
  await scratch.close()
  return count
}

/** A getter of the options takes the buffer away when the call has already seen it. */
async function duringTheCall({ target, peer }, take) {
  const calls = [
    (view, options) => peer.read('x', { into: view, ...options }),
    (view, options) => peer.write('x', view, options),
    (view, options) => peer.send(view, options),
    (view, options) => target.recv(view, options),
  ]
  for (const call of calls) {
    for (const key of ['length', 'offset', 'timeoutMs', 'tag', 'remoteOffset', 'signal']) {
      const view = new Uint8Array(4096)
      const options = {}
      Object.defineProperty(options, key, {
        enumerable: true,
        get() {
          if (view.buffer.byteLength > 0) take(view.buffer)
          return key === 'signal' ? AbortSignal.abort() : 1
        },
      })
      let operation
      try {
        operation = call(view, options)
      } catch {
        continue
      }
      operation.cancel()
      await ending(operation)
    }
  }
}

/** Views outlive regions and endpoints, and are read, written and collected then; also by another thread. */
async function overTheirLife(round, worker) {
  const endpoint = await TcpEndpoint.listen()
  const region = endpoint.alloc('x', BYTES, { access: 'readwrite' })
  const views = [new Uint8Array(region.buffer), new Float64Array(region.buffer, 8, 4), new DataView(region.buffer)]
  const clone = structuredClone(views[0])
  views[0].fill(round)
  check(clone[0] === 0, 'a clone is no copy')
  worker.postMessage(views[0].subarray(0, 64))
  check((await once(worker, 'message'))[0] === 64 * (round % 256), 'another thread sees other bytes')
  await region.close()
  globalThis.gc()
  views[0].fill(1)
  await endpoint.close()
  globalThis.gc()
  check(views[0][BYTES - 1] === 1 && views[2].getUint8(BYTES - 1) === 1, 'a view has lost its memory')
  views.length = 0
  globalThis.gc()
  await turns(1)
}

/** A buffer that can shrink is refused, and one that has become shorter is too; one that can only grow may grow. */
async function resizable({ target, peer }) {
  const shrinking = new Uint8Array(new ArrayBuffer(4096, { maxByteLength: 8192 }))
  const calls = [
    () => peer.read('x', { into: shrinking }),
    () => peer.write('x', shrinking),
    () => peer.send(shrinking),
    () => target.recv(shrinking),
    () => peer.readBatch([{ remote: 'x', local: shrinking, length: 16 }]),
    () => peer.writeBatch([{ remote: 'x', local: shrinking, length: 16 }]),
  ]
  for (const call of calls) {
    let refused
    try {
      call()
    } catch (error) {
      refused = error
    }
    check(refused !== undefined, `a buffer that can shrink was taken: ${call}`)
  }
  const growing = new SharedArrayBuffer(4096, { maxByteLength: 1 << 20 })
  const operations = [
    peer.read('x', { into: new Uint8Array(growing), length: 4096 }),
    peer.write('x', new Uint8Array(growing), { length: 4096 }),
    target.recv(new Uint8Array(growing), { tag: 2 }),
    peer.send(new Uint8Array(growing), { length: 8, tag: 2 }),
  ].map(ending)
  growing.grow(1 << 20)
  const codes = await Promise.all(operations)
  check(codes.every((code) => code === 'ok'), `operations over a buffer that grows: ${codes}`)
}

function work() {
  parentPort.on('message', (view) => parentPort.postMessage(view.reduce((sum, byte) => sum + byte, 0)))
}

if (isMainThread) await main()
else work()
