/** Writes that are late: whoever closed the region has its memory for himself. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import { LARGE } from './content.mjs'
import { LIMITS, Pair } from './matrix.mjs'
import { Proxy } from './proxy.mjs'

const LENGTHS = [4096, 200_000, LARGE]
/** How long what was held back has to do harm. */
const WATCHED_MS = 150
const FENCE_MS = LIMITS.drainMs + 1000

/** Closes regions, one of memory and one of a file, while a write to them is held up somewhere, and lets it go on afterwards. */
export async function fence({ random, rounds }) {
  const folder = mkdtempSync(join(tmpdir(), 'memlane-faults-'))
  const pair = await Pair.start({ slots: 4, limits: { progressTimeoutMs: 20_000 } })
  const { target, initiator } = pair
  const problems = []
  let held = 0
  let longest = 0
  try {
    for (let round = 1; round <= rounds; round++) {
      const mapped = round % 2 === 0
      const name = `late ${round}`
      const path = join(folder, name)
      const length = LENGTHS[round % LENGTHS.length]
      if (mapped) writeFileSync(path, Buffer.alloc(LARGE, 1))
      await target.ask(...(mapped ? ['map', { name, path, access: 'readwrite' }] : ['alloc', { name, bytes: LARGE, access: 'readwrite', fill: 1 }]))
      const proxy = await Proxy.listen(pair.port)
      // Somewhere in the write: behind the preface, the proof, and the question for the regions.
      const at = 64 + 32 + 17 + random.below(length + 17)
      const lane = length > 1 << 20 ? 1 : 0
      proxy.plan = (number) => (number === lane ? { up: { kind: 'black hole', at: lane === 0 ? at : at - 17 } } : {})
      const slot = round
      await initiator.ask('connect', { port: proxy.port, slot, timeoutMs: 2000 })
      const write = initiator.ask('write', { slot, name, length, fill: 200 + (round % 50), timeoutMs: 10_000 })
      await new Promise((resolve) => setTimeout(resolve, 10 + random.below(20)))
      const began = performance.now()
      await target.ask('fence', { name, mapped, drainMs: LIMITS.drainMs })
      const took = performance.now() - began
      longest = Math.max(longest, took)
      if (took > FENCE_MS) problems.push(`round ${round}: the fence took ${Math.round(took)} ms`)
      // The same memory under another name: of a file it is the same pages, of an alloc what `.buffer` still shows.
      if (mapped) await target.ask('map', { name: `${name} anew`, path, access: 'readwrite' })
      const look = () => (mapped ? createHash('sha1').update(readFileSync(path)).digest('base64') : target.ask('keptDigest', { name }))
      const before = await look()
      proxy.lift()
      await new Promise((resolve) => setTimeout(resolve, WATCHED_MS))
      const after = await look()
      if (before !== after) problems.push(`round ${round}: bytes of ${mapped ? 'a mapped file' : 'a region'} changed after its fence (a write of ${length}, held at ${at})`)
      const end = await write
      if (end.code === undefined) held--
      held++
      await initiator.ask('part', { slot })
      if (mapped) await target.ask('fence', { name: `${name} anew`, mapped, drainMs: 0 })
      await proxy.close()
    }
    if (held === 0) problems.push('no write was held up: this says nothing')
    problems.push(...(await pair.left()))
    return { problems, detail: `${held} of ${rounds} writes were late; the longest fence took ${Math.round(longest)} ms` }
  } finally {
    await pair.end()
    rmSync(folder, { recursive: true })
  }
}
