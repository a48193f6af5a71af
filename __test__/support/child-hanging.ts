// An initiator that never stops writing to and reading from its parent's region, by two large transfers at a time. It is to be
// halted in the middle of them.
import { TcpEndpoint } from 'memlane'
import { endWithParent } from './child-parent'

const BYTES = 32 << 20

async function main(): Promise<void> {
  endWithParent()
  const endpoint = await TcpEndpoint.listen()
  const peer = await endpoint.connect(process.argv[2] as string)
  const source = endpoint.alloc('source', BYTES)
  const into = endpoint.alloc('into', BYTES)
  new Uint8Array(source.buffer).fill(0x77)
  const turn = async (transfer: () => PromiseLike<unknown>) => {
    try {
      for (;;) await transfer()
    } catch (error) {
      process.send?.({ failed: (error as { code: string }).code })
    }
  }
  await peer.write('x', source, { length: 1 })
  process.send?.({ working: true })
  await Promise.all([turn(() => peer.write('x', source)), turn(() => peer.read('x', { into }))])
}

void main()
