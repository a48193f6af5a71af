import { type MemoryRegion, TcpEndpoint } from 'memlane'

// The program under attack: a listening endpoint in a process of its own, driven over its IPC channel.

type ListenOptions = NonNullable<Parameters<typeof TcpEndpoint.listen>[0]>

/** One region of the target and what it holds, `bytes` in base64 because that is what IPC carries. */
export interface Layout {
  name: string
  length: number
  access: 'none' | 'read' | 'write' | 'readwrite'
  bytes: string
}

export type Command =
  | { op: 'listen'; options: ListenOptions; layout: Layout[] }
  | { op: 'refill' }
  | { op: 'contents' }
  | { op: 'stats' }
  | { op: 'memory' }
  | { op: 'alloc'; layout: Layout }
  | { op: 'close'; name: string }
  | { op: 'recv'; length: number; tag?: number; exactSize?: boolean }
  | { op: 'received'; receive: number; seconds: number }
  | { op: 'cancel'; receive: number }

let endpoint: TcpEndpoint
const regions = new Map<string, { region: MemoryRegion; bytes: Buffer }>()
const receives: ReturnType<TcpEndpoint['recv']>[] = []

function alloc({ name, length, access, bytes }: Layout): { address: number } {
  const region = endpoint.alloc(name, length, { access })
  regions.set(name, { region, bytes: Buffer.from(bytes, 'base64') })
  refill(name)
  return { address: region.address }
}

function refill(name: string): void {
  const { region, bytes } = regions.get(name)!
  new Uint8Array(region.buffer).set(bytes)
}

async function execute(command: Command): Promise<unknown> {
  switch (command.op) {
    case 'listen':
      endpoint = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0, ...command.options })
      return { port: endpoint.port, regions: command.layout.map(alloc) }
    case 'refill':
      return [...regions.keys()].forEach(refill)
    case 'contents':
      return Object.fromEntries(
        [...regions].map(([name, { region }]) => [name, Buffer.from(region.copyOut(0, region.length)).toString('base64')]),
      )
    case 'stats':
      return endpoint.stats()
    case 'memory':
      return process.memoryUsage.rss()
    case 'alloc':
      return alloc(command.layout)
    case 'close': {
      const { region } = regions.get(command.name)!
      regions.delete(command.name)
      return region.close()
    }
    case 'recv': {
      const { length, op: _, ...options } = command
      return receives.push(endpoint.recv(new Uint8Array(length), options)) - 1
    }
    case 'received': {
      const message = await receives[command.receive]!.waitFor(command.seconds)
      if (message === null) return null
      const { bytes, messageBytes, tag, truncated, data } = message
      return { bytes, messageBytes, tag: String(tag), truncated, data: Buffer.from(data).toString('base64') }
    }
    case 'cancel':
      receives[command.receive]!.cancel()
      return undefined
  }
}

process.on('message', async ({ id, command }: { id: number; command: Command }) => {
  try {
    process.send!({ id, ok: await execute(command) })
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    process.send!({ id, error: `${code ?? 'no code'}: ${message}`, code })
  }
})
