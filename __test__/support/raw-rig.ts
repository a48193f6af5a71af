import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { TcpEndpoint } from 'memlane'
import { header, PING, READ, RawConnection, statusFrame } from './raw'
import type { ModelRegion } from './raw-model'
import { pattern, seed } from './raw-random'
import type { Command, Layout } from './raw-target'

type Stats = ReturnType<TcpEndpoint['stats']>

/** What must never leave the target: it fills all memory that nobody may read. */
export const CANARY = Buffer.from('CANARY!!')

/** Short enough to wait for in a test; the limits that the cases below rely on. */
export const LIMITS = { maxOperationBytes: 1 << 30, drainBytes: 1 << 20, maxUnexpectedBytes: 64 << 10, unexpectedTimeoutMs: 400 }

// One region ends inside a page, one at a page's end, one takes writes only; each lies between regions that nobody may touch.
const LAYOUT: Layout[] = [
  canary('canary 0'),
  filled('odd', 5003, 'read'),
  canary('canary 1'),
  filled('page', 8192, 'readwrite'),
  canary('canary 2'),
  { ...canary('inbox'), length: 4099, access: 'write', bytes: repeated(4099).toString('base64') },
  canary('canary 3'),
]

export interface TargetRegion extends ModelRegion {
  name: string
}

export interface Received {
  bytes: number
  messageBytes: number
  tag: string
  truncated: boolean
  data: Buffer
}

/** A memlane endpoint in a process of its own, for hostile bytes. */
export class Target {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  #next = 0
  port = 0
  regions: TargetRegion[] = []

  private constructor() {
    this.#child = fork(join(__dirname, 'raw-target.js'))
    this.#child.on('message', (answer: { id: number; ok?: unknown; error?: string; code?: string }) => {
      const waiter = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if (answer.error === undefined) waiter?.resolve(answer.ok as never)
      else waiter?.reject(Object.assign(new Error(answer.error), { code: answer.code }))
    })
    this.#child.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the target crashed: ${signal ?? code}`))
    })
  }

  static async start(options: object = {}, layout = LAYOUT): Promise<Target> {
    const target = new Target()
    const { port, regions } = await target.ask<{ port: number; regions: { address: number }[] }>({
      op: 'listen',
      options: { ...LIMITS, ...options },
      layout,
    })
    target.port = port
    target.regions = layout.map(({ name, access, bytes }, i) => ({
      name,
      access,
      address: regions[i]!.address,
      bytes: Buffer.from(bytes, 'base64'),
    }))
    return target
  }

  region(name: string): TargetRegion {
    return this.regions.find((region) => region.name === name)!
  }

  /** The regions for a model to change: copies, as after `refill`. */
  model(): TargetRegion[] {
    return this.regions.map((region) => ({ ...region, bytes: Buffer.from(region.bytes) }))
  }

  refill(): Promise<void> {
    return this.ask({ op: 'refill' })
  }

  async contents(): Promise<Map<string, Buffer>> {
    const contents = await this.ask<Record<string, string>>({ op: 'contents' })
    return new Map(Object.entries(contents).map(([name, bytes]) => [name, Buffer.from(bytes, 'base64')]))
  }

  stats(): Promise<Stats> {
    return this.ask({ op: 'stats' })
  }

  /** Resident bytes of the target's process. */
  memory(): Promise<number> {
    return this.ask({ op: 'memory' })
  }

  /** How much the target has counted as refused, for any reason. */
  async refusals(): Promise<number> {
    const { rejected, protocolErrors, authFailures, connections } = await this.stats()
    return Object.values(rejected).reduce((sum, count) => sum + count, protocolErrors + authFailures + connections.refused)
  }

  /** One more region, as `alloc` makes it. */
  async alloc(layout: Layout): Promise<number> {
    return (await this.ask<{ address: number }>({ op: 'alloc', layout })).address
  }

  close(name: string): Promise<void> {
    return this.ask({ op: 'close', name })
  }

  /** Posts a receive; `received` waits for it. */
  recv(length: number, options: { tag?: number; exactSize?: boolean } = {}): Promise<number> {
    return this.ask({ op: 'recv', length, ...options })
  }

  async received(receive: number, seconds = 5): Promise<Received | null> {
    const message = await this.ask<(Omit<Received, 'data'> & { data: string }) | null>({ op: 'received', receive, seconds })
    return message && { ...message, data: Buffer.from(message.data, 'base64') }
  }

  cancel(receive: number): Promise<void> {
    return this.ask({ op: 'cancel', receive })
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const left = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await left
  }

  private ask<T>(command: Command): Promise<T> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      return Promise.reject(new Error(`the target crashed: ${this.#child.signalCode ?? this.#child.exitCode}`))
    }
    const id = this.#next++
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, command })
    })
  }
}

/** An honest client of each wire is served: the target lives and its framing is sound. */
export async function serves(t: ExecutionContext, target: Target, what: string): Promise<void> {
  const { address, bytes } = target.region('odd')
  const native = await RawConnection.native(target.port)
  native.write(Buffer.concat([header(PING, 0, 0), header(READ, 64, address + 7)]))
  t.deepEqual(statusFrame(await native.take(8)), { sequence: 0, status: 0 }, `${what}: then an honest ping`)
  t.deepEqual(statusFrame(await native.take(8)), { sequence: 1, status: 0 }, `${what}: then an honest read`)
  t.deepEqual(await native.take(64), bytes.subarray(7, 71), `${what}: then an honest read`)
  native.destroy()
  const legacy = await RawConnection.open(target.port)
  legacy.write(header(READ, 64, address + 7))
  t.deepEqual(await legacy.take(64), bytes.subarray(7, 71), `${what}: then an honest legacy read`)
  legacy.destroy()
}

/** Memory is what the model says (at first: as filled), but for what a cut-off write left undefined. */
export async function isUnchanged(
  t: ExecutionContext,
  target: Target,
  what: string,
  { regions = target.regions, undefinedRanges = [] }: {
    regions?: TargetRegion[]
    undefinedRanges?: { region: ModelRegion; offset: number; length: number }[]
  } = {},
): Promise<void> {
  const contents = await target.contents()
  for (const region of regions) {
    const expected = Buffer.from(region.bytes)
    for (const range of undefinedRanges) {
      if (range.region === region) contents.get(region.name)!.copy(expected, range.offset, range.offset, range.offset + range.length)
    }
    if (!contents.get(region.name)!.equals(expected)) t.fail(`${what}: "${region.name}" is not what it should be`)
  }
}

/** Runs one hostile exchange and then checks what every one of them must leave behind. */
export async function refuses(
  t: ExecutionContext,
  target: Target,
  what: string,
  attack: (connection: RawConnection) => Promise<void>,
  open: (port: number) => Promise<RawConnection> = RawConnection.open,
): Promise<void> {
  const before = await target.refusals()
  const connection = await open(target.port)
  try {
    await attack(connection)
  } catch (error) {
    t.fail(`${what}: ${(error as Error).message} (MEMLANE_SEED=${seed})`)
  } finally {
    connection.destroy()
  }
  t.false(connection.everything.includes(CANARY), `${what}: unreadable memory came out`)
  t.true((await target.refusals()) > before, `${what}: a counter moved`)
  await isUnchanged(t, target, what)
  await serves(t, target, what)
}

function filled(name: string, length: number, access: Layout['access']): Layout {
  return { name, length, access, bytes: pattern(`${seed}/${name}`, length).toString('base64') }
}

export function canary(name: string): Layout {
  return { name, length: 4096, access: 'none', bytes: repeated(4096).toString('base64') }
}

function repeated(length: number): Buffer {
  return Buffer.alloc(length, CANARY)
}
