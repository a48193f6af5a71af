import test, { type ExecutionContext } from 'ava'
import { type MemlaneError, type MemoryRegion, type Peer, TcpEndpoint } from 'memlane'
import { Child } from './support/child'
import { endpoint, url } from './support/pair'
import { Random, seed } from './support/raw-random'
import { fixedPort, until } from './support/sockets'

const RESTARTS = 10
const LARGE_BYTES = 3 << 20
const WITHIN_MS = 1000
/** What an operation may fail with while its peer is gone. */
const GONE = ['ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_REGION_NOT_FOUND']

/** One kind of operation, which uses a lane of its own. */
type Work = (peer: Peer, scratch: MemoryRegion) => PromiseLike<number | undefined>

const WORK: Record<string, Work> = {
  'small reads': async (peer) => (await peer.read('small', { timeoutMs: 5000 }))[7],
  async 'large reads'(peer, scratch) {
    await peer.read('large', { into: scratch, length: LARGE_BYTES, timeoutMs: 5000 })
    return scratch.copyOut(LARGE_BYTES - 1, 1)[0]
  },
  async messages(peer) {
    await peer.send(Buffer.from('still there?'), { timeoutMs: 5000 })
    return undefined
  },
}

/** Where the initiator stands: the life that its peer is in, and since when that one listens. */
class Lives {
  life = 1
  since = 0
  #begun: (() => void)[] = []

  /** Resolves when the next life listens. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#begun.push(resolve))
  }

  begin(life: number): void {
    this.life = life
    this.since = performance.now()
    for (const resolve of this.#begun.splice(0)) resolve()
  }
}

async function start(t: ExecutionContext, port: number, life: number): Promise<Child> {
  const child = Child.start(t, 'restarted', [String(port), String(life)])
  await child.next()
  return child
}

/** A target that listens on a port that stays free for it. */
async function firstLife(t: ExecutionContext, random: Random): Promise<{ child: Child; port: number }> {
  for (;;) {
    const port = fixedPort((bound) => random.below(bound))
    try {
      await (await TcpEndpoint.listen({ port })).close()
      return { child: await start(t, port, 1), port }
    } catch (error) {
      if ((error as MemlaneError).code !== 'ERR_LISTEN') throw error
    }
  }
}

test.serial('a target that is killed and comes back costs at most one operation a lane, and the next one works within a second', async (t) => {
  t.log(`MEMLANE_SEED=${seed}`)
  const random = new Random('restart')
  const first = await firstLife(t, random)
  const { port } = first
  let { child } = first
  const initiator = await endpoint(t, { lanesPerPeer: 2 })
  const peer = await initiator.connect(url({ host: '127.0.0.1', port }))
  const scratch = initiator.alloc('scratch', LARGE_BYTES)
  const lives = new Lives()
  let over = false
  /** Operations that succeeded in this life. */
  let ended: Record<string, number> = {}
  const succeeded = (name: string) => (ended[name] = (ended[name] ?? 0) + 1)
  const failed: Record<string, number> = {}

  const run = async (name: string, work: Work) => {
    while (!over) {
      const { life } = lives
      try {
        const seen = await work(peer, scratch)
        succeeded(name)
        if (seen !== undefined && lives.life === life) t.is(seen, life, `${name} see the life that they are in`)
        continue
      } catch (error) {
        t.true(GONE.includes((error as MemlaneError).code), `${name}: ${String(error)}`)
      }
      const key = `${name} in life ${life}`
      failed[key] = (failed[key] ?? 0) + 1
      if (lives.life === life) await lives.next()
      // Nobody is there to fail once more for it: what comes now has to work.
      const began = performance.now()
      const seen = await work(peer, scratch).then((value) => value, (error: unknown) => t.fail(`${name} after a restart: ${String(error)}`))
      t.true(performance.now() - began < WITHIN_MS, `${name} took ${performance.now() - began} ms after a restart`)
      if (typeof seen === 'number') t.is(seen, lives.life, `${name} after a restart`)
      succeeded(name)
    }
  }
  const running = Object.entries(WORK).map(([name, work]) => run(name, work))
  // Beyond those that may have failed in this life: from the second on, nothing but the end of the target is to blame.
  const working = () => Object.keys(WORK).every((name) => (ended[name] ?? 0) >= 2)
  for (let life = 2; life <= RESTARTS + 1; life++) {
    t.true(await until(true, working), `everything is at work in life ${life - 1}`)
    for (let turns = random.below(20); turns > 0; turns--) await new Promise(setImmediate)
    await child.kill()
    child = await start(t, port, life)
    ended = {}
    lives.begin(life)
  }
  t.true(await until(true, working), 'everything is at work in the last life')
  over = true
  await Promise.all(running)
  for (const [key, count] of Object.entries(failed)) t.is(count, 1, key)
  t.true(Object.keys(failed).length > 0, 'no operation was under way when its target was killed')
})

test.serial('whoever tries again and again while the target is gone gets through within a second of its return', async (t) => {
  const random = new Random('restart, impatient')
  const first = await firstLife(t, random)
  const { port } = first
  let { child } = first
  const initiator = await endpoint(t)
  const peer = await initiator.connect(url({ host: '127.0.0.1', port }))
  for (let life = 2; life <= 6; life++) {
    await child.kill()
    let listening = Infinity
    const starting = start(t, port, life).then((started) => {
      listening = performance.now()
      return started
    })
    let attempts = 0
    let byte: number | undefined
    while (byte === undefined) {
      attempts++
      const before = performance.now()
      // Between its alloc and its first byte a region is zeros.
      byte = await peer.read('small', { timeoutMs: 5000 }).then((bytes) => bytes[0] || undefined, () => undefined)
      if (byte === undefined && before > listening + WITHIN_MS) break
      await new Promise(setImmediate)
    }
    t.is(byte, life, `after ${attempts} attempts`)
    child = await starting
  }
})
