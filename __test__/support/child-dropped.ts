// Futures that fail: looked at or not, held or dropped, early or late, or given up on purpose.
import { TcpEndpoint, type TransferFuture } from 'memlane'
import { endWithParent } from './child-parent'
import { url } from './pair'

const collect = (globalThis as unknown as { gc(): void }).gc
const rejections: string[] = []

process.on('unhandledRejection', (error: { code: string }) => rejections.push(error.code))

/** Turns of the loop with collections, until `done` or for as many as a finalizer could ever need. */
async function collecting(done: () => boolean, turns: number): Promise<void> {
  for (let turn = 0; turn < turns && !done(); turn++) {
    collect()
    await new Promise(setImmediate)
  }
}

async function main(): Promise<void> {
  endWithParent()
  const target = await TcpEndpoint.listen()
  const initiator = await TcpEndpoint.listen()
  const peer = await initiator.connect(url(target))

  // Two of the same: when the second has failed, the first has.
  const held: TransferFuture<unknown>[] = [peer.read('nowhere')]
  await peer.read('nowhere').wait().catch(() => undefined)
  await collecting(() => false, 20)
  process.send?.({ held: [...rejections] })

  held.length = 0
  await collecting(() => rejections.length > 0, 10_000)
  process.send?.({ dropped: rejections.splice(0) })

  const look = async () => {
    const [late, early] = [peer.read('nowhere'), peer.read('nowhere')]
    // When the second has failed, the first has.
    // `await` and not a method: that is what most programs do, and it asks a promise nothing.
    for (const future of [early, late]) {
      try {
        await future
      } catch {
        // As expected.
      }
    }
  }
  await look()
  await collecting(() => false, 200)
  process.send?.({ looked: rejections.splice(0) })

  const failed = peer.read('nowhere')
  const early = [peer.read('nowhere').wait(), peer.read('nowhere').then(() => undefined), Promise.resolve(peer.read('nowhere'))]
  await collecting(() => rejections.length >= early.length, 10_000)
  const late = [failed.wait(), failed.then(() => undefined), Promise.resolve(failed)]
  await collecting(() => rejections.length >= early.length + late.length, 10_000)
  process.send?.({ unhandled: rejections.splice(0).length })

  const drop = () => {
    target.recv(new Uint8Array(8)).cancel()
    target.recv(new Uint8Array(8))
  }
  drop()
  await target.close()
  await initiator.close()
  await collecting(() => false, 200)
  process.send?.({ asked: rejections }, () => process.exit())
}

void main()
