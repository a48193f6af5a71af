import { Session } from 'node:inspector'

/** What of some modules has run, told by V8 in blocks: what is new is told once. */
export class Coverage {
  #session = new Session()
  #wanted
  #seen = new Set()

  /** @param wanted ends of the modules' addresses */
  constructor(wanted) {
    this.#wanted = wanted
    this.#session.connect()
    this.#post('Profiler.enable')
    this.#post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  }

  /** Commands of this domain are carried out before `post` returns. */
  #post(method, params) {
    let failed
    let result
    this.#session.post(method, params, (error, value) => {
      failed = error
      result = value
    })
    if (failed) throw new Error(`${method}: ${failed.message}`)
    return result
  }

  /** Whether something ran, since the last call, that never did before. */
  isNew() {
    const before = this.#seen.size
    for (const { url, functions } of this.#post('Profiler.takePreciseCoverage').result) {
      const name = this.#wanted.find((end) => url.endsWith(end))
      if (name === undefined) continue
      for (const { functionName, ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) this.#seen.add(`${name} ${functionName} ${startOffset} ${endOffset} ${count > 0}`)
      }
    }
    return this.#seen.size > before
  }

  get blocks() {
    return this.#seen.size
  }
}
