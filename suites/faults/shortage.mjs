/** A machine that runs out: of descriptors, of room on a disk. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmdirSync, writeFileSync, truncateSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LIMITS, Pair } from './matrix.mjs'
import { until } from './process.mjs'

const CROWD = 40
const WATCHED_MS = 1500
/** Of a core, while nobody can be let in. */
const MOST_LOAD = 0.15

/** No descriptor is left for who dials; who is connected goes on, and so does the listener when there are some again. */
export async function descriptors() {
  if (spawnSync('prlimit', ['--version']).status !== 0) return { problems: [], skipped: 'there is no prlimit' }
  const pair = await Pair.start({ slots: 4, limits: { handshakeTimeoutMs: 60_000 } })
  const { target, initiator } = pair
  const crowd = []
  const exchange = (slot, timeoutMs) => initiator.ask('exchange', { port: pair.port, slot, number: slot + 1, timeoutMs })
  const accepted = async () => (await target.ask('stats')).connections.accepted
  const wrong = (ends) => ends.filter(({ right }) => right !== true)
  try {
    const problems = wrong(await exchange(0, 2000)).map(({ what, code }) => `before: ${what} ${code}`)
    const open = () => readdirSync(`/proc/${target.pid}/fd`).length
    const limit = open() + 8
    execFileSync('prlimit', ['--pid', String(target.pid), `--nofile=${limit}:`])
    for (let number = 0; number < CROWD; number++) crowd.push(connect({ port: pair.port, host: '127.0.0.1' }).on('error', () => undefined))
    const events = []
    const told = await until(async () => events.push(...(await target.ask('events'))), () => events.some(({ code }) => code === 'ERR_LISTEN'), 3000)
    if (told === 0) problems.push('no error event says that no connection can be accepted')
    const before = target.processor()
    const watched = performance.now()
    let served = 0
    while (performance.now() - watched < WATCHED_MS) {
      problems.push(...wrong(await exchange(0, 1000)).map(({ what, code, message }) => `who was connected: ${what} ${code} ${message}`))
      served++
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const load = ((target.processor() - before) * 1000) / (performance.now() - watched)
    if (load > MOST_LOAD) problems.push(`the target takes ${load.toFixed(2)} of a core meanwhile`)
    const full = open()
    const refused = await accepted()
    for (const socket of crowd) socket.destroy()
    const freed = performance.now()
    let ends
    do ends = await initiator.ask('exchange', { port: pair.port, slot: 1, number: 1, timeoutMs: 1000 })
    while (wrong(ends).length > 0 && performance.now() - freed < 1000)
    const late = performance.now() - freed
    problems.push(...wrong(ends).map(({ what, code, message }) => `with descriptors again: ${what} ${code} ${message}`))
    // Who was connected goes on by the connection that it has: whether it accepts, its count says.
    const now = await until(accepted, (count) => count > refused, 1500)
    if (now === refused) problems.push('no connection is accepted when there are descriptors again')
    for (const slot of [0, 1]) await initiator.ask('part', { slot })
    problems.push(...(await pair.left()))
    const detail = `${full} of ${limit} descriptors, ${served} exchanges meanwhile at ${load.toFixed(2)} of a core; accepts again, served after ${Math.round(late)} ms`
    return { problems, detail }
  } finally {
    for (const socket of crowd) socket.destroy()
    await pair.end()
  }
}

/** A file that is longer than its disk: writing where there is no room is an error of that operation alone. */
export async function disk() {
  const folder = mkdtempSync(join(tmpdir(), 'memlane-faults-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { encoding: 'utf8' })
  if (mounted.status !== 0) {
    rmdirSync(folder)
    return { problems: [], skipped: `a small disk cannot be mounted here: ${(mounted.stderr ?? 'no mount').trim()}` }
  }
  const pair = await Pair.start({ slots: 4 })
  const { target, initiator } = pair
  try {
    const problems = []
    const ends = []
    const path = join(folder, 'sparse')
    writeFileSync(path, Buffer.alloc(4096, 7))
    truncateSync(path, 4 << 20)
    await target.ask('map', { name: 'sparse', path, access: 'readwrite' })
    await initiator.ask('connect', { port: pair.port, slot: 0, timeoutMs: 2000 })
    // Small ones go through the descriptor, large ones from the socket into the mapping.
    for (const length of [4096, 64 << 10, 1 << 20, 2 << 20, 4 << 20, 32 << 10, 4 << 20]) {
      const end = await initiator.ask('write', { slot: 0, name: 'sparse', length, fill: 9, timeoutMs: LIMITS.progressTimeoutMs + 1500, remoteOffset: 0 })
      ends.push(`${length >> 10} KiB ${end.code ?? 'ok'}`)
      const fits = length <= 1 << 19
      if (fits && end.code !== undefined) problems.push(`a write of ${length} bytes, for which there is room: ${end.code} ${end.message}`)
      if (length > 1 << 20 && !/^ERR_(OUT_OF_RANGE|FILE|PEER_CLOSED|LIMIT|MEMORY)$/.test(end.code)) problems.push(`a write of ${length} bytes, for which there is no room: ${end.code ?? 'success'} ${end.message ?? ''}`)
      if (target.gone !== undefined) break
    }
    if (target.gone !== undefined) problems.push(target.gone)
    else {
      const again = await initiator.ask('exchange', { port: pair.port, slot: 0, number: 1, timeoutMs: 1000 })
      problems.push(...again.filter(({ right }) => right !== true).map(({ what, code, message }) => `afterwards: ${what} ${code} ${message}`))
      await initiator.ask('part', { slot: 0 })
      problems.push(...(await pair.left()))
    }
    return { problems, detail: `a tmpfs of 1 MiB; ${ends.join(', ')}` }
  } finally {
    await pair.end()
    spawnSync('umount', [folder])
    rmdirSync(folder)
  }
}
