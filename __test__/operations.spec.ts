import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { ARGUMENT_ERROR_CODES, ERROR_CODES, TcpContext, TcpEndpoint } from 'memlane'
import { root } from './support/error-table'

const folder = join(root, 'docs', 'operations')
const page = readFileSync(join(root, 'docs', 'operations.md'), 'utf8')

interface Target {
  expr: string
  legendFormat: string
  refId: string
}

interface Panel {
  id: number
  type: string
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: Target[]
}

interface Dashboard {
  panels: Panel[]
  templating: { list: { name: string; query: string | { query: string } }[] }
}

const dashboard = JSON.parse(readFileSync(join(folder, 'grafana.json'), 'utf8')) as Dashboard
const targets = dashboard.panels.flatMap(({ targets = [] }) => targets)
const rules = readFileSync(join(folder, 'alerts.yml'), 'utf8')

/** The `expr` of each alert, by its name: on one line, or as a block that is indented further than its key. */
function alerts(): Map<string, string> {
  const found = new Map<string, string>()
  for (const [, name = '', body = ''] of rules.matchAll(/^ {6}- alert: (\w+)\n([^]*?)(?=^ {6}- |(?![^]))/gm)) {
    const [, line = '', block = ''] = /^ {8}expr: (?:\|\n((?: {10}.+\n)+)|(.+)\n)/m.exec(body) ?? []
    found.set(name, `${line}${block}`)
  }
  return found
}

/** Labels that Prometheus itself gives to whatever it scrapes. */
const SCRAPED = ['job', 'instance']

/** What a context tells: for each metric its label, if any, and the values of that. */
async function told(t: ExecutionContext): Promise<Map<string, { label: string | undefined; values: string[] }>> {
  const context = new TcpContext()
  t.teardown(() => context.close())
  await TcpEndpoint.listen({ context })
  const metrics = new Map<string, { label: string | undefined; values: string[] }>()
  for (const [, name = '', label, value = ''] of context.metrics().matchAll(/^(memlane_\w+)(?:\{(\w+)="([^"]+)"\})? \d+$/gm)) {
    const metric = metrics.get(name) ?? { label, values: [] }
    metric.values.push(value)
    metrics.set(name, metric)
  }
  return metrics
}

/** Why the metrics of an expression, with their labels, cannot be what a context tells. */
function wrong(expr: string, metrics: Awaited<ReturnType<typeof told>>): string[] {
  const reasons: string[] = []
  const labels = new Set(SCRAPED)
  const named = [...expr.matchAll(/(memlane_\w+)(?:\{([^}]*)\})?/g)]
  if (named.length === 0) reasons.push('no metric at all')
  for (const [, name = '', selectors = ''] of named) {
    const metric = metrics.get(name)
    if (metric === undefined) reasons.push(`no metric ${name}`)
    if (metric?.label !== undefined) labels.add(metric.label)
    for (const [, label = '', value = ''] of selectors.matchAll(/(\w+)\s*(?:=~|!=|=)\s*"([^"]*)"/g)) {
      if (SCRAPED.includes(label)) continue
      if (label !== metric?.label) reasons.push(`${name} has no label ${label}`)
      else if (!metric.values.includes(value)) reasons.push(`${name} has no ${label}="${value}"`)
    }
  }
  for (const [, names = ''] of expr.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)) {
    for (const label of names.split(',').map((text) => text.trim())) if (!labels.has(label)) reasons.push(`no label ${label}`)
  }
  return reasons
}

test('every metric, label and value of the dashboard is one that metrics() gives', async (t) => {
  const metrics = await told(t)
  t.true(targets.length > 20)
  for (const { expr, legendFormat } of targets) {
    t.deepEqual(wrong(expr, metrics), [], expr)
    for (const [, label = ''] of legendFormat.matchAll(/\{\{\s*(\w+)\s*\}\}/g)) {
      const told = [...expr.matchAll(/memlane_\w+/g)].map(([name]) => metrics.get(name)?.label)
      t.true(told.includes(label) || SCRAPED.includes(label), `${legendFormat}: ${expr}`)
      t.true(!/^(sum|max|min|count)\(/.test(expr) && (!expr.includes(' by (') || expr.includes(`by (${label})`)), `${label} is not left over: ${expr}`)
    }
  }
  for (const { query } of dashboard.templating.list.filter(({ query }) => typeof query !== 'string')) {
    t.deepEqual(wrong((query as { query: string }).query, metrics), [])
  }
})

test('the dashboard shows every metric', async (t) => {
  const shown = new Set(targets.flatMap(({ expr }) => [...expr.matchAll(/memlane_\w+/g)].map(([name]) => name)))
  t.deepEqual([...shown].sort(), [...(await told(t)).keys()].sort())
})

test('the panels of the dashboard have a place each, and what Grafana wants of them', (t) => {
  const ids = dashboard.panels.map(({ id }) => id)
  t.is(new Set(ids).size, ids.length)
  const taken = new Set<string>()
  for (const { title, type, gridPos: { x, y, w, h }, targets } of dashboard.panels) {
    t.true(['row', 'stat', 'timeseries'].includes(type), title)
    t.is(type === 'row', targets === undefined, title)
    t.is(new Set(targets?.map(({ refId }) => refId)).size, targets?.length ?? 0, title)
    t.true(x >= 0 && x + w <= 24 && w > 0 && h > 0, title)
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        const place = `${column} ${line}`
        t.false(taken.has(place), `${title} lies over another at ${place}`)
        taken.add(place)
      }
    }
  }
})

test('every metric, label and value of the alerts is one that metrics() gives', async (t) => {
  const metrics = await told(t)
  const found = alerts()
  t.is(found.size, rules.split('- alert:').length - 1)
  for (const [name, expr] of found) t.deepEqual(wrong(expr, metrics), [], `${name}: ${expr}`)
})

test('docs/operations.md has a section for each alert, which its runbook leads to, and no other', (t) => {
  const names = [...alerts().keys()]
  const sections = [...page.matchAll(/^### (Memlane\w+)\n\n[A-Z]/gm)].map(([, name]) => name)
  t.deepEqual(sections, names)
  const runbooks = [...rules.matchAll(/^ {10}runbook: (.+)$/gm)].map(([, link]) => link)
  t.deepEqual(runbooks, names.map((name) => `docs/operations.md#${name.toLowerCase()}`))
})

/** The rows of a table of the page, by the beginning of its header. */
function rows(header: string): string[][] {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => line.startsWith(header))
  if (start < 0) throw new Error(`docs/operations.md has no table ${header}`)
  const body = lines.slice(start + 2)
  return body.slice(0, body.findIndex((line) => !line.startsWith('|'))).map((line) => line.slice(2, -2).split(/(?<!\\) \| /))
}

test('docs/operations.md says of every code what is seen, why, where to look and how to mend it', (t) => {
  const table = rows('| code | what you see |')
  // What it says of a range holds for both errors of that code.
  const codes = [...ERROR_CODES, ...[...ARGUMENT_ERROR_CODES].filter((code) => !(ERROR_CODES as readonly string[]).includes(code))]
  t.deepEqual(table.map(([code]) => code).sort(), codes.map((code) => `\`${code}\``).sort())
  for (const cells of table) {
    t.is(cells.length, 5, cells[0])
    for (const cell of cells) t.regex(cell, /\S/, cells[0])
  }
})

/** A value as the page has it: `1 GiB`, `512 KiB`, `5,000 ms`, `1,024`. */
function number(text: string): number {
  const [, digits = '', unit = ''] = /^([\d,]+)(?: (KiB|MiB|GiB|ms))?$/.exec(text) ?? []
  return Number(digits.replaceAll(',', '')) * ({ KiB: 1 << 10, MiB: 1 << 20, GiB: 1 << 30 }[unit] ?? 1)
}

test('docs/operations.md has every limit with the default that is in force', (t) => {
  const context = new TcpContext()
  t.teardown(() => context.close())
  const limits = Object.fromEntries(rows('| limit | default |').map(([name = '', value = '']) => [name.replaceAll('`', ''), number(value)]))
  t.deepEqual(limits, context.stats().limits)
})

test('promtool finds the alerts well-formed, and they fire when they have to', (t) => {
  const given = process.env['MEMLANE_PROMTOOL']
  const promtool = given ?? 'promtool'
  const run = (...args: string[]) => {
    const { status, stdout, stderr, error } = spawnSync(promtool, args, { encoding: 'utf8', cwd: folder })
    return { status, output: `${stdout}${stderr}`, error }
  }
  if (given === undefined && run('--version').error !== undefined) {
    t.log('skipped: promtool is not installed here (it is part of Debian\'s package prometheus; MEMLANE_PROMTOOL may name it)')
    t.pass()
    return
  }
  for (const args of [['check', 'rules', 'alerts.yml'], ['test', 'rules', 'alerts.test.yml']]) {
    const { status, output, error } = run(...args)
    t.is(error, undefined)
    t.is(status, 0, output)
  }
  const played = readFileSync(join(folder, 'alerts.test.yml'), 'utf8')
  t.deepEqual([...played.matchAll(/alertname: (\w+)/g)].map(([, name]) => name), [...alerts().keys()])

  // Its parser reads the dashboard's expressions too, as rules that record them.
  const temporary = mkdtempSync(join(tmpdir(), 'memlane-operations-'))
  t.teardown(() => rmSync(temporary, { recursive: true }))
  const recorded = targets.map(({ expr }, index) => ({ record: `memlane:panel_${index}`, expr: expr.replaceAll(/\$__(rate_interval|range)/g, '5m') }))
  const file = join(temporary, 'dashboard.yml')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: recorded }] }))
  const { status, output } = run('check', 'rules', file)
  t.is(status, 0, output)
  t.true(output.includes(`${targets.length} rules found`), output)
})

test('the process of docs/operations.md serves its metrics, and closes when it is told to', async (t) => {
  t.timeout(60_000)
  const [, program = ''] = /^```js\n([^]*?)^```$/m.exec(page) ?? []
  t.true(program.includes("process.once(signal"))
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PORT: '0', METRICS_PORT: '0' },
  })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const [, port, metrics] = /^port (\d+) metrics at .* port: (\d+) }$/.exec((await lines.next()).value as string) ?? []
  t.truthy(metrics)
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const peer = await endpoint.connect(`tcp://127.0.0.1:${port}`)
  t.is((await peer.read('weights')).length, 1 << 20)
  const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
  t.regex(text, /^memlane_bytes_total\{direction="served"\} 1048576$/m)
  t.regex(text, /^memlane_limit\{name="maxConnections"\} 4096$/m)
  child.kill('SIGTERM')
  t.is((await lines.next()).value, 'closed')
  t.deepEqual(await Promise.race([ended, pause(10_000, 'still there', { ref: false })]), [0, null])
})
