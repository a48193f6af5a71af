import test from 'ava'
import type { MemlaneError, Peer, TcpEndpoint, TransferFuture } from 'memlane'
import { endpoint } from './support/pair'
import { Silent } from './support/pair-silent'

const OPERATIONS = 2000
const PEERS = 256
const REGIONS = { kv: { addr: 4096, length: 4096 } }

/** Milliseconds that so many cancels take at the call. */
async function cancelling(t: { true(ok: boolean, what: string): void }, issue: () => TransferFuture<unknown>): Promise<number> {
  const futures = Array.from({ length: OPERATIONS }, issue)
  const began = performance.now()
  for (const future of futures) future.cancel()
  const spent = performance.now() - began
  for (const future of futures) {
    const code = await future.wait().then(
      () => 'nothing',
      (error: MemlaneError) => error.code
    )
    t.true(code === 'ERR_ABORTED', code)
  }
  return spent
}

async function peers(t: Parameters<typeof Silent.start>[0], initiator: TcpEndpoint, count: number): Promise<Peer[]> {
  const silent = await Promise.all(Array.from({ length: count }, () => Silent.start(t)))
  return Promise.all(silent.map((one) => initiator.connect(one.info(REGIONS))))
}

test('a cancel costs the same however many peers there are', async (t) => {
  t.timeout(60_000)
  const initiator = await endpoint(t)
  const [peer] = (await peers(t, initiator, 1)) as [Peer]
  const scratch = initiator.alloc('scratch', 64)
  const issues: [string, () => TransferFuture<unknown>][] = [
    ['read', () => peer.read('kv', { into: scratch, length: 64, timeoutMs: 0 })],
    ['recv', () => initiator.recv(new Uint8Array(8))],
  ]
  const best = async (issue: () => TransferFuture<unknown>) => {
    const rounds = []
    for (let round = 0; round < 5; round++) rounds.push(await cancelling(t, issue))
    return Math.min(...rounds)
  }
  const alone: number[] = []
  for (const [, issue] of issues) alone.push(await best(issue))
  await peers(t, initiator, PEERS)
  for (const [index, [what, issue]] of issues.entries()) {
    const among = await best(issue)
    // Asking each peer costs a hundred times as much; noise does not.
    t.true(among < 10 * (alone[index] as number) + 5, `${what}: ${among} ms among ${PEERS} peers, ${alone[index]} ms alone`)
  }
})

test('every kind of operation is found by its cancel', async (t) => {
  const initiator = await endpoint(t)
  const listener = await Silent.start(t)
  const legacy = await initiator.connect(listener.info(REGIONS))
  const region = initiator.alloc('scratch', 4096)
  const futures: TransferFuture<unknown>[] = [
    legacy.read('kv'),
    legacy.read('kv', { into: region }),
    legacy.readBatch([{ local: region, remote: 'kv' }]),
    legacy.prepare('read', [{ local: region, remote: 'kv' }]).start(),
    initiator.recv(region),
    initiator.recv(new Uint8Array(5), { tag: 3 }),
    initiator.connect(listener.url),
  ]
  for (const future of futures) future.cancel()
  for (const future of futures) await t.throwsAsync(future.wait(), { code: 'ERR_ABORTED' })
})
