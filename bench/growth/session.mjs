/** Runs the growth rows: all of one kind in turns, so that what drifts on the machine drifts out of their ratios. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { overRounds } from '../stats.mjs'
import { caller } from '../support/channel.mjs'
import { MIB } from '../support/pattern.mjs'
import { ended, spawnNode } from '../support/spawn.mjs'

/** Buffers of a connection at rest go after a second, and those of V8 when it looks for them. */
const REST_MS = 3000
const TICKS_PER_SECOND = 100

export class Growth {
  #placement
  #running = []

  constructor(placement) {
    this.#placement = placement
  }

  /** The results of `rows`, in their order. */
  async measure(rows, rounds, tell) {
    const measured = new Map()
    for (const kind of new Set(rows.map(({ run }) => run.kind))) {
      const some = rows.filter(({ run }) => run.kind === kind)
      for (const [row, samples] of await this.#kind(kind, some, rounds, tell)) measured.set(row, result(row, samples, this.#placement))
      await this.stop()
    }
    return rows.map((row) => measured.get(row))
  }

  async stop() {
    await Promise.all(
      this.#running.splice(0).map((child) => {
        if (child.connected) child.disconnect()
        return ended(child)
      })
    )
  }

  async #kind(kind, rows, rounds, tell) {
    const [target, initiator] = ['target', 'initiator'].map((side) => this.#start(side))
    await initiator.call('open')
    const samples = new Map(rows.map((row) => [row, []]))
    const prepared = []
    for (const row of rows) prepared.push(await PREPARE[kind](row.run, { target, initiator, known: prepared }))
    for (let round = 0; round < (kind === 'idle' ? 1 : rounds); round++) {
      for (let turn = 0; turn < rows.length; turn++) {
        const at = (turn + round) % rows.length
        tell(`${rows[at].id} · round ${round + 1}`)
        const run = { ...rows[at].run, port: prepared[at] }
        samples.get(rows[at]).push(kind === 'idle' ? await idle(run, { target, initiator }) : await initiator.call('run', run))
      }
    }
    return samples
  }

  #start(side) {
    const child = spawnNode(new URL('./peer.mjs', import.meta.url), this.#placement[side])
    this.#running.push(child)
    return { pid: child.pid, call: caller(child, `the ${side} of growth`) }
  }
}

/** What a row needs before its first turn; the port that it goes to. */
const PREPARE = {
  async peers({ count }, { target, initiator, known }) {
    const port = known[0] ?? (await target.call('serve', {}))
    await initiator.call('connect', { port, count, bytes: 64 })
    return port
  },
  async regions({ count }, { target, initiator }) {
    const port = await target.call('serve', { regions: count })
    await initiator.call('connect', { port, count: 1, bytes: 64 })
    return port
  },
  lanes: (_, { target, known }) => known[0] ?? target.call('serve', {}),
  idle: (_, { target }) => target.call('serve', {}),
}

/** What `count` peers cost that were used once and do nothing: looked at from here, so that nobody wakes them to ask. */
async function idle({ port, count, seconds }, { target, initiator }) {
  const sides = [target, initiator]
  const few = Math.round(count / 50)
  await initiator.call('connect', { port, count: few, bytes: MIB })
  await sleep(REST_MS)
  const bare = sides.map(({ pid }) => resident(pid))
  await initiator.call('connect', { port, count, bytes: MIB })
  await sleep(REST_MS)
  const before = sides.map(({ pid }) => activity(pid))
  await sleep(seconds * 1000)
  const after = sides.map(({ pid }) => activity(pid))
  const [target_kib, initiator_kib] = sides.map(({ pid }, side) => (resident(pid) - bare[side]) / (count - few))
  const sum = (of) => after.reduce((all, _, side) => all + of(after[side]) - of(before[side]), 0) / seconds
  return {
    target_kib,
    initiator_kib,
    kib: Math.max(target_kib, initiator_kib),
    wakes: sum(({ wakes }) => wakes.engine),
    node_wakes: sum(({ wakes }) => wakes.node),
    cpu_ms: sum(({ ticks }) => ticks) * (1000 / TICKS_PER_SECOND),
  }
}

function resident(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
}

/** How often threads of the process slept until something woke them, and the processor time that they took. */
function activity(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`).map((task) => readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))
  const wakes = { engine: 0, node: 0 }
  for (const status of tasks) {
    // V8 tidies up some seconds after the last work, whatever that was.
    const whose = /^Name:\s+memlane/m.test(status) ? 'engine' : 'node'
    wakes[whose] += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)[1])
  }
  // Behind the name, which may have spaces, the times are the 12th and 13th.
  const times = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')
  return { wakes, ticks: Number(times[11]) + Number(times[12]) }
}

function result(row, samples, { text }) {
  const figures = {}
  for (const { key, of } of row.figures) {
    const values = samples.map(of)
    figures[key] = { ...overRounds(values), rounds: values }
  }
  const contenders = [{ id: 'memlane', name: 'memlane', figures }]
  return { id: row.id, title: row.title, completion: row.completion, placement: text, rounds: samples.length, contenders }
}
