import { createRequire } from 'node:module'
import test from 'ava'
import { RedisDirectory } from 'memlane/redis'

const TTL_MS = 300
const EVERY_MS = TTL_MS / 3
const NAMES = 200

/** The module that src takes its timers from, to see how long it means to wait. */
const timers = createRequire(__filename)('node:timers') as { setTimeout: typeof setTimeout }

test('announcements that are made in one moment are not renewed in step, and none later than a third of its ttl', async (t) => {
  // Renewals do not hold the process.
  const held = setInterval(() => undefined, 1000)
  const waits: number[] = []
  const original = timers.setTimeout
  timers.setTimeout = ((run: () => void, milliseconds: number) => {
    // Deadlines of commands are longer.
    if (milliseconds <= EVERY_MS) waits.push(milliseconds / EVERY_MS)
    return original(run, milliseconds)
  }) as typeof setTimeout
  t.teardown(() => {
    timers.setTimeout = original
    clearInterval(held)
  })
  let renewed = 0
  let all: () => void = () => undefined
  const everyRenewed = new Promise<void>((resolve) => (all = resolve))
  const client = {
    call(command: string, ...[script]: string[]): Promise<unknown> {
      if (command === 'EVAL' && script?.includes('PEXPIRE') === true && ++renewed === 2 * NAMES) all()
      return Promise.resolve(1)
    },
  }
  const directory = new RedisDirectory(client, { ttlMs: TTL_MS })
  const info = { host: '127.0.0.1', port: 1, mr_info: {}, memlane: { version: 1, instance: '0'.repeat(32) } }
  const announcements = await Promise.all(Array.from({ length: NAMES }, (_, n) => directory.announce(`n${n}`, info)))
  const first = waits.slice(0, NAMES)
  t.is(first.length, NAMES)
  // A quarter of the period has a quarter of them; a tenth would be seven standard deviations off.
  for (const quarter of [0, 1, 2, 3]) {
    const here = first.filter((wait) => Math.floor(wait * 4) === quarter).length
    t.true(here > NAMES / 10, `${here} in quarter ${quarter}`)
  }
  await everyRenewed
  const later = waits.slice(NAMES)
  t.true(later.length >= NAMES)
  t.true(later.every((wait) => wait >= 0.8 && wait <= 1))
  t.true(Math.max(...later) - Math.min(...later) > 0.1, 'what was in step once does not stay so')
  await Promise.all(announcements.map((announcement) => announcement.close()))
})
