import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../../bench/support/random.mjs'

/** The process of `mortal.mjs` through all its lives. */
export class Mortal {
  #settings
  #proxy
  #child
  #over = false
  lives = 0
  stops = 0
  problems = []

  constructor(settings, proxy) {
    this.#settings = settings
    this.#proxy = proxy
  }

  get pid() {
    return this.#child.pid
  }

  async start() {
    this.lives++
    const child = fork(new URL('./mortal.mjs', import.meta.url), [JSON.stringify(this.#settings)])
    this.#child = child
    child.on('message', ({ failure }) => failure === undefined || this.problems.push(`the process that is killed: ${failure}`))
    child.once('exit', (code, signal) => signal === 'SIGKILL' || this.#over || this.problems.push(`the process that is killed ended by itself: ${signal ?? code}`))
    const [{ port }] = await once(child, 'message')
    this.#proxy.upstream = port
    child.send('go')
    await once(child, 'message')
  }

  async restart() {
    await this.kill()
    await this.start()
  }

  async stop(milliseconds) {
    this.stops++
    this.#child.kill('SIGSTOP')
    await delay(milliseconds)
    this.#child.kill('SIGCONT')
  }

  async kill() {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  async end() {
    this.#over = true
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill()
  }
}

/** The process of `door.mjs`. */
export class Door {
  #child
  problems = []
  visits = 0

  constructor(tokens) {
    this.#child = fork(new URL('./door.mjs', import.meta.url), [JSON.stringify(tokens)], { execArgv: ['--expose-gc'], env: { ...process.env, MALLOC_ARENA_MAX: '2' } })
    this.#child.once('exit', (code, signal) => signal === 'SIGKILL' || this.problems.push(`the process with the door ended: ${signal ?? code}`))
  }

  get pid() {
    return this.#child.pid
  }

  open() {
    return once(this.#child, 'message')
  }

  /** What it has of the system; undefined when it does not say in time. */
  async measure(milliseconds) {
    if (!this.#child.connected) return undefined
    const answer = once(this.#child, 'message').then(([said]) => said)
    this.#child.send('measure')
    const said = await Promise.race([answer, delay(milliseconds, undefined, { ref: false })])
    if (said === undefined) return undefined
    this.visits = said.visits
    this.problems.push(...said.failures.map((failure) => `at the door: ${failure}`))
    return said
  }

  end() {
    this.#child.kill('SIGKILL')
  }
}

/** What goes wrong between processes until `end`: one loop for connections, one for the process that is killed. */
export class Weather {
  #over = false
  #random
  #loops
  faults = 0

  constructor(seed, proxies, mortal) {
    this.#random = new Random(seed, 0x3ea)
    this.#loops = [this.#roads(proxies), this.#lives(mortal)]
  }

  async #roads(proxies) {
    while (!this.#over) {
      await delay(this.#random.between(100, 1200))
      const roads = [...this.#random.pick(proxies).roads]
      if (roads.length === 0) continue
      const road = this.#random.pick(roads)
      const kind = this.#random.weighted({ reset: 3, 'half close': 2, 'black hole': 1, delay: 3, throttle: 2 })
      const milliseconds = this.#random.between(20, 800)
      this.faults++
      this.#random.pick([road.up, road.down]).arm({ kind, milliseconds })
      // Longer than a connection may make no progress, now and then.
      await delay(kind === 'black hole' && this.#random.once(3) ? 4000 : milliseconds)
      if (!road.over) road.lift()
    }
  }

  async #lives(mortal) {
    while (!this.#over) {
      await delay(this.#random.between(500, 4000))
      if (this.#over) break
      if (this.#random.once(3)) await mortal.stop(this.#random.between(50, 1500))
      else await mortal.restart()
    }
  }

  async end() {
    this.#over = true
    await Promise.all(this.#loops)
  }
}
