// A process with an endpoint that it announces in Redis: port of the server, client, name and ttl are its arguments.
import { TcpEndpoint } from 'memlane'
import { RedisDirectory } from 'memlane/redis'
import { endWithParent } from './child-parent'
import { fill } from './pair'
import { CLIENTS } from './redis-clients'

async function main(): Promise<void> {
  endWithParent()
  const [port, kind, name, ttlMs, byte] = process.argv.slice(2) as [string, keyof typeof CLIENTS, string, string, string]
  const { client } = await CLIENTS[kind](Number(port))
  const endpoint = await TcpEndpoint.listen({ name, directory: new RedisDirectory(client, { ttlMs: Number(ttlMs) }) })
  fill(endpoint.alloc('which', 1, { access: 'read' }).buffer, Uint8Array.of(Number(byte)))
  process.send?.({ info: endpoint.endpointInfo() })
}

void main()
