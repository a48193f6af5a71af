import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { TcpContext, TcpEndpoint } from 'memlane'
import { endpoint, pair, url } from './support/pair'

interface Metric {
  name: string
  type: string
  help: string
  /** The label that its samples have, if any. */
  label: string | undefined
  samples: Map<string, number>
}

/** The text taken apart, strictly: what is not of the form that memlane writes is an error. */
function parse(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>()
  let metric: Metric | undefined
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP (\w+) (.+)$/.exec(line)
    const type = /^# TYPE (\w+) (counter|gauge)$/.exec(line)
    const sample = /^(\w+)(?:\{(\w+)="([^"\\]+)"\})? (\d+)$/.exec(line)
    if (help !== null) {
      const [, name = '', words = ''] = help
      if (metrics.has(name)) throw new Error(`${name} comes twice`)
      metric = { name, help: words, type: '', label: undefined, samples: new Map() }
      metrics.set(name, metric)
    } else if (type !== null && metric !== undefined && metric.name === type[1] && metric.type === '') {
      metric.type = type[2] ?? ''
    } else if (sample !== null && metric !== undefined && metric.name === sample[1] && metric.type !== '') {
      const [, , label, value = '', count] = sample
      if (metric.samples.has(value)) throw new Error(`a sample comes twice: ${line}`)
      if (metric.samples.size > 0 && metric.label !== label) throw new Error(`another label: ${line}`)
      metric.label = label
      metric.samples.set(value, Number(count))
    } else {
      throw new Error(`a line out of place: ${line}`)
    }
  }
  return metrics
}

test('metrics tell what stats tell, by stable names', async (t) => {
  const { target, initiator, peer } = await pair(t)
  target.alloc('x', 100, { access: 'read' })
  await peer.read('x')
  await t.throwsAsync(peer.write('x', new Uint8Array(3)).wait(), { code: 'ERR_ACCESS' })
  const pending = target.recv(new Uint8Array(8), { tag: 7 })
  await peer.send(new Uint8Array(8), { tag: 7 })
  await pending
  const asInitiator = parse(initiator.metrics())
  const asTarget = parse(target.metrics())
  const value = (metrics: Map<string, Metric>, name: string, label = '') => metrics.get(name)?.samples.get(label)
  t.is(value(asInitiator, 'memlane_operations_total', 'read'), 1)
  t.is(value(asInitiator, 'memlane_operations_total', 'write'), 1)
  t.is(value(asInitiator, 'memlane_operations_total', 'send'), 1)
  // By connecting, and for the name that was allocated since.
  t.is(value(asInitiator, 'memlane_operations_total', 'describe'), 2)
  t.is(value(asInitiator, 'memlane_operations_failed_total'), 1)
  t.is(value(asInitiator, 'memlane_operations_in_flight'), 0)
  t.is(value(asInitiator, 'memlane_bytes_total', 'read'), 100)
  t.is(value(asInitiator, 'memlane_lanes_open'), 2)
  t.is(value(asInitiator, 'memlane_queued_bytes'), 0)
  t.is(value(asInitiator, 'memlane_limit', 'maxQueuedBytesPerPeer'), 256 << 20)
  t.is(value(asTarget, 'memlane_operations_total', 'receive'), 1)
  t.is(value(asTarget, 'memlane_bytes_total', 'served'), 100)
  t.is(value(asTarget, 'memlane_rejected_total', 'access_denied'), 1)
  t.is(value(asTarget, 'memlane_connections_open'), target.stats().connections.open)
  t.false(asTarget.has('memlane_endpoints'), 'an endpoint has no endpoints')
})

test('every counter and gauge of stats is in the metrics, with its value', async (t) => {
  const context = new TcpContext()
  t.teardown(() => context.close())
  const one = await TcpEndpoint.listen({ context })
  one.alloc('x', 3, { access: 'read' })
  await (await one.connect(url(one))).read('x')
  const stats = context.stats()
  const numbers: number[] = []
  const collect = (value: unknown): void => {
    if (typeof value === 'number') numbers.push(value)
    else Object.values(value as object).forEach(collect)
  }
  collect(stats)
  const samples = [...parse(context.metrics()).values()].flatMap((metric) => [...metric.samples.values()])
  t.deepEqual(samples.sort((a, b) => a - b), numbers.sort((a, b) => a - b))
})

test('docs/metrics.md has every metric with its type, labels and meaning, and no other', (t) => {
  const page = readFileSync(join(dirname(require.resolve('memlane/package.json')), 'docs', 'metrics.md'), 'utf8')
  const lines = page.split('\n')
  const start = lines.indexOf('| name | type | labels | meaning |') + 2
  const rows = lines.slice(start, lines.indexOf('', start)).map((line) => line.slice(2, -2).split(' | '))
  const context = new TcpContext()
  t.teardown(() => context.close())
  const metrics = [...parse(context.metrics()).values()]
  t.true(start > 1)
  t.deepEqual(rows.map(([name, type, , meaning]) => [name, type, meaning]), metrics.map(({ name, type, help }) => [`\`${name}\``, type, help]))
  for (const [index, { name, label, samples }] of metrics.entries()) {
    const [, , labels = ''] = rows[index] ?? []
    if (label === undefined) t.is(labels, '', name)
    else {
      const [documented, values = ''] = labels.split(': ')
      t.is(documented, `\`${label}\``, name)
      const named = values.split(', ').filter((value) => value !== '…')
      const present = [...samples.keys()].map((value) => `\`${value}\``)
      // An ellipsis stands for names that another table lists: statuses, limits.
      t.deepEqual(named, values.endsWith('…') ? present.filter((value) => named.includes(value)) : present, name)
      t.true(named.length > 0, name)
    }
  }
})

test('promtool finds nothing to say about the metrics', async (t) => {
  // CI names it, and then it has to be there; on a machine without it the strict parser above is all there is.
  const given = process.env['MEMLANE_PROMTOOL']
  const promtool = given ?? 'promtool'
  const present = spawnSync(promtool, ['--version'], { encoding: 'utf8' })
  if (given === undefined && present.error !== undefined) {
    t.log('skipped: promtool is not installed here (it is part of Debian\'s package prometheus; MEMLANE_PROMTOOL may name it)')
    t.pass()
    return
  }
  t.is(present.error, undefined)
  const context = new TcpContext()
  t.teardown(() => context.close())
  const owner = await TcpEndpoint.listen({ context })
  for (const text of [context.metrics(), owner.metrics(), (await endpoint(t)).metrics()]) {
    const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: text, encoding: 'utf8' })
    t.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
  }
  const renamed = owner.metrics().replaceAll('memlane_bytes_total', 'memlane_bytes')
  const bad = spawnSync(promtool, ['check', 'metrics'], { input: renamed, encoding: 'utf8' })
  t.not(bad.stdout + bad.stderr, '', 'it would have said so')
})
