/** Runs rows: contenders in processes of their own that stay alive and take turns, round by round. */
import { REGION_BYTES } from './rows.mjs'
import { overRounds } from './stats.mjs'
import { openRoad } from './support/road.mjs'
import { oneCore } from './support/spawn.mjs'

export class Session {
  #placement
  #running = new Map()
  #absent = new Map()
  #versions = new Map()
  #stopped = false
  /** The road that is open: its row's wish for it, and where processes are placed on it, or why there is none. */
  #road = null

  constructor(placement) {
    this.#placement = placement
  }

  /** By contender: its version, or null where it is absent. */
  get versions() {
    return Object.fromEntries(this.#versions)
  }

  /** Sets up what contenders need, so that nothing is installed between two turns. What fails is absent from then on. */
  async prepare(contenders, tell) {
    for (const base of new Set(contenders.map((id) => id.split(':')[0]))) {
      tell(`setting up ${base}`)
      this.#versions.set(base, null)
      try {
        const { setup, version } = await load(base)
        await setup?.()
        this.#versions.set(base, (await version?.()) ?? null)
      } catch (error) {
        this.#absent.set(base, oneLine(error))
      }
    }
  }

  /** One row over all rounds; every contender has either `figures` or the reason why it is `absent`. */
  async measure(row, rounds, tell) {
    const { placement, absent } = await this.#placed(row, tell)
    const turns = await Promise.all(row.contenders.map((id) => this.#turn(row, id, absent)))
    for (let round = 0; round < rounds; round++) {
      // Another one begins each time, because nobody should always find the caches that the same other one left.
      for (let turn = 0; turn < turns.length; turn++) {
        const contender = turns[(turn + round) % turns.length]
        tell(`${row.id} · round ${round + 1} of ${rounds} · ${contender.id}`)
        await this.#takeTurn(row, contender, placement)
      }
    }
    if (row.oneCore || row.apart) await this.#endAll(turns.map(({ id }) => keyOf(id, row)))
    return {
      id: row.id,
      title: row.title,
      completion: row.completion,
      placement: placement?.text ?? 'none: processes cannot be placed here',
      rounds,
      contenders: turns.map((turn) => outcome(row, turn)),
    }
  }

  async stop() {
    this.#stopped = true
    await this.#endAll([...this.#running.keys()])
    await this.#leaveRoad()
  }

  /** Where the processes of a row are, or why they cannot be there; on a road, those of the next row of the same road as well. */
  async #placed(row, tell) {
    if (this.#road !== null && this.#road.rttMs !== row.road?.rttMs) await this.#leaveRoad()
    if (row.oneCore) return { placement: oneCore(this.#placement) }
    if (!row.road) return { placement: this.#placement }
    if (this.#road === null) {
      tell(`${row.id} · the road`)
      const road = await openRoad(row.road, this.#placement).catch((error) => ({ absent: oneLine(error) }))
      this.#road = { ...road, ...row.road }
    }
    return this.#road
  }

  async #leaveRoad() {
    const road = this.#road
    this.#road = null
    if (road === null) return
    await this.#endAll([...this.#running.keys()].filter((key) => key.endsWith(roadKey(road))))
    await road.close?.()
  }

  async #turn(row, id, absent) {
    const [base, variant] = id.split(':')
    const { name, variantName, completion, unchecked = false } = await load(base).catch(() => ({ name: base }))
    return {
      id,
      name: variant === undefined ? name : variantName(variant),
      completion: completion?.[row.run.op],
      unchecked,
      samples: [],
      absent: this.#absent.get(base) ?? absent ?? null,
    }
  }

  async #takeTurn(row, turn, placement) {
    if (turn.absent !== null) return
    const key = keyOf(turn.id, row)
    try {
      if (placement === null) throw new Error('processes cannot be placed here')
      if (row.fresh) await this.#end(key)
      const pair = await this.#pair(key, turn.id, { placement, ...row.apart, ...row.fresh })
      turn.samples.push(await pair.run(row.run))
      pair.pause?.()
      if (row.fresh) await this.#end(key)
    } catch (error) {
      turn.absent = oneLine(error)
      await this.#end(key)
      // What fails in one row or one placement may do well in another.
    }
  }

  async #pair(key, id, options) {
    if (this.#stopped) throw new Error('the session was stopped')
    if (!this.#running.has(key)) {
      const [base, variant] = id.split(':')
      const { start } = await load(base)
      this.#running.set(key, await start({ bytes: REGION_BYTES, variant, ...options }))
    }
    const pair = this.#running.get(key)
    pair.resume?.()
    return pair
  }

  async #endAll(keys) {
    await Promise.all(keys.map((key) => this.#end(key)))
  }

  async #end(key) {
    const pair = this.#running.get(key)
    this.#running.delete(key)
    await pair?.stop()
  }
}

const load = (base) => import(`./contenders/${base}.mjs`)

/** Processes that were placed otherwise, or made for one row, are others. */
function keyOf(id, row) {
  if (row.road) return `${id}${roadKey(row.road)}`
  return row.oneCore || row.apart || row.fresh ? `${id} ${row.id}` : id
}

function roadKey({ rttMs }) {
  return ` over ${rttMs} ms`
}

function oneLine({ message }) {
  return message.trim().split('\n')[0]
}

function outcome(row, { id, name, completion, unchecked, samples, absent }) {
  const about = { id, name, ...(completion ? { completion } : {}), ...(unchecked ? { unchecked } : {}) }
  if (absent !== null) return { ...about, absent }
  const figures = {}
  for (const { key, of, pool } of row.figures) {
    const values = samples.map(of)
    figures[key] = { ...overRounds(values), rounds: values, ...(pool ? { pooled: pool(samples) } : {}) }
  }
  return { ...about, figures }
}
