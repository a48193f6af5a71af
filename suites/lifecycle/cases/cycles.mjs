/**
 * A context, an endpoint, a region and a connection open and close, again and again.
 *
 * Flat means: descriptors and threads are never more than after the warm-up, which is the first quarter of the samples. Memory,
 * measured after a collection, grows by at most `TREND` in all samples behind it, if each grew as the one in the middle did: what is
 * forgotten in every cycle grows all the time, a heap or a compiler that takes its next few MiB does so once. And on average the
 * last quarter is at most `LEVEL` above the second, so that nothing grows by steps. `TREND` is 0.5 KiB a cycle in the long
 * form: less than the smallest thing that could be forgotten of each, a context with its tables. The quick form sees what is larger.
 */
import { TcpContext, TcpEndpoint } from 'memlane'
import { check, descriptors, passed, settings, threads, until, url } from '../support.mjs'

const SAMPLES = 40
const TREND = 4 << 20
const LEVEL = 16 << 20

async function cycle(target, isOdd) {
  const context = new TcpContext()
  const endpoint = await TcpEndpoint.listen({ context })
  const region = endpoint.alloc('x', 64 << 10, { access: 'readwrite' })
  new Uint8Array(region.buffer)[0] = 1
  const peer = await endpoint.connect(target)
  const [bytes] = await Promise.all([peer.read('x', { length: 64 }), peer.write('x', region, { length: 64 })])
  check(bytes.length === 64, 'nothing was read')
  if (isOdd) {
    await context.close()
  } else {
    await peer.close()
    await region.close()
    await endpoint.close()
    await context.close()
  }
}

async function sample(target) {
  // The far ends of closed connections are closed a moment later.
  await until(() => target.stats().connections.open === 0, 'all connections are closed')
  for (let turn = 0; turn < 6; turn++) {
    globalThis.gc()
    await new Promise(setImmediate)
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, heap: heapUsed + external, descriptors: descriptors(), threads: threads() }
}

const median = (numbers) => numbers.sort((one, other) => one - other)[numbers.length >> 1]
const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length
const mib = (bytes) => (bytes / 2 ** 20).toFixed(1)

const target = await TcpEndpoint.listen()
target.alloc('x', 64 << 10, { access: 'readwrite' })
const samples = []
for (let index = 0; index < SAMPLES; index++) {
  for (let count = 0; count < settings.cycles / SAMPLES; count++) await cycle(url(target), count % 2 === 1)
  samples.push(await sample(target))
}
const quarter = SAMPLES / 4
const warm = samples.slice(quarter)
for (const what of ['descriptors', 'threads']) {
  const [first, ...others] = warm.map((one) => one[what])
  check(Math.max(...others) <= first, `${what}: ${first} after the warm-up, then ${others}`)
}
const said = ['rss', 'heap'].map((what) => {
  const values = warm.map((one) => one[what])
  const steps = values.slice(1).map((value, index) => value - values[index])
  const trend = median(steps) * steps.length
  const [early, late] = [mean(values.slice(0, quarter)), mean(values.slice(-quarter))]
  const line = `${what} ${mib(early)} → ${mib(late)} MiB (trend ${mib(trend)})`
  check(trend <= TREND && late - early <= LEVEL, `memory grows: ${line}; samples: ${samples.map((one) => mib(one[what])).join(' ')}`)
  return line
})
const { descriptors: open, threads: running } = samples.at(-1)
await target.close()
passed(`${settings.cycles} cycles, ${said.join(', ')}, ${open} descriptors, ${running} threads`)
