/** Runs rows: contenders in processes of their own that stay alive and take turns, round by round. */
import { REGION_BYTES } from './rows.mjs'
import { median, overRounds } from './stats.mjs'

export const CONTENDERS = ['memlane', 'raw', 'raw-64k', 'node-net', 'ipc']

export class Session {
  #placement
  #running = new Map()
  #absent = new Map()
  #stopped = false

  constructor(placement) {
    this.#placement = placement
  }

  /** One row over all rounds; every contender has either `figures` or the reason why it is `absent`. */
  async measure(row, rounds, tell) {
    const turns = row.contenders.map((id) => ({ id, name: id, samples: [], absent: null }))
    for (let round = 0; round < rounds; round++) {
      // Another one begins each time, because nobody should always find the caches that the same other one left.
      for (let turn = 0; turn < turns.length; turn++) {
        const contender = turns[(turn + round) % turns.length]
        tell(`${row.id} · round ${round + 1} of ${rounds} · ${contender.id}`)
        await this.#takeTurn(row, contender)
      }
    }
    return {
      id: row.id,
      title: row.title,
      completion: row.completion,
      placement: this.#placement.text,
      rounds,
      contenders: turns.map((turn) => outcome(row, turn)),
    }
  }

  async stop() {
    this.#stopped = true
    const pairs = [...this.#running.values()]
    this.#running.clear()
    await Promise.all(pairs.map(({ pair }) => pair.stop()))
  }

  async #takeTurn(row, turn) {
    if (turn.absent !== null) return
    try {
      const { name, pair } = await this.#contender(turn.id, row.fresh)
      turn.name = name
      turn.samples.push(await pair.run(row.run))
      if (row.fresh) await this.#end(turn.id)
    } catch (error) {
      turn.absent = error.message
      await this.#end(turn.id)
      this.#absent.set(turn.id, error.message)
    }
  }

  async #contender(id, fresh) {
    if (this.#stopped) throw new Error('the session was stopped')
    if (this.#absent.has(id)) throw new Error(this.#absent.get(id))
    if (fresh) await this.#end(id)
    if (!this.#running.has(id)) {
      const { name, start } = await import(`./contenders/${id}.mjs`)
      const pair = await start({ bytes: REGION_BYTES, placement: this.#placement, ...fresh })
      this.#running.set(id, { name, pair })
    }
    return this.#running.get(id)
  }

  async #end(id) {
    const running = this.#running.get(id)
    this.#running.delete(id)
    await running?.pair.stop()
  }
}

function outcome(row, { id, name, samples, absent }) {
  if (absent !== null) return { id, name, absent }
  const figures = {}
  for (const { key, of } of row.figures) {
    const values = samples.map(of)
    figures[key] = { ...overRounds(values), rounds: values }
  }
  return { id, name, figures }
}

/** Memlane's figure of a row beside that of the peer its goal names; null figures where one of the two is absent. */
export function judge(row, measured) {
  const { key } = row.figures[0]
  const [ours, theirs] = ['memlane', row.goal.against].map((id) => measured.contenders.find((one) => one.id === id))
  const value = ours.figures?.[key].median ?? null
  const paired = ours.figures && theirs.figures
  const ratio = paired ? pairedRatio(ours.figures[key].rounds, theirs.figures[key].rounds) : null
  return {
    id: row.id,
    value,
    unit: row.goal.unit,
    against: { name: theirs.name, value: theirs.figures?.[key].median ?? null },
    ratio,
    target: row.goal.target,
    // No ratio is no proof: every comparison with NaN is false.
    met: value !== null && row.goal.met({ value, ratio: ratio ?? Number.NaN, figures: ours.figures }),
  }
}

/**
 * The median over rounds of one contender's figure divided by another's of the same round. The two were taken seconds
 * apart, so what drifts on the machine drifts out of their ratio.
 */
export function pairedRatio(ours, theirs) {
  return median(ours.map((value, round) => value / theirs[round]))
}
