// A target that is to be killed and started again: the same names on the same port, and in each life its own number in them.
import { TcpEndpoint } from 'memlane'
import { endWithParent } from './child-parent'

const LARGE_BYTES = 3 << 20

async function main(): Promise<void> {
  endWithParent()
  const [port, life] = process.argv.slice(2).map(Number) as [number, number]
  const endpoint = await TcpEndpoint.listen({ port })
  const small = endpoint.alloc('small', 64, { access: 'readwrite' })
  const large = endpoint.alloc('large', LARGE_BYTES, { access: 'readwrite' })
  for (const { buffer } of [small, large]) new Uint8Array(buffer).fill(life)
  const receive = () => {
    void endpoint.recv(new Uint8Array(64)).then(receive, () => undefined)
  }
  receive()
  process.channel?.ref()
  process.send?.({ listening: endpoint.port })
}

void main()
