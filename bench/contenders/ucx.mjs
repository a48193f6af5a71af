/**
 * UCX by its own `ucx_perftest` over TCP: `ucp_get` for reads and `ucp_put_bw` for writes, a pair of processes for each turn.
 * It polls on both sides. Nobody sees its bytes, so that they cannot be checked.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'

import { freePort } from '../support/port.mjs'
import { debianProgram } from '../support/provision.mjs'
import { timed } from '../support/timed.mjs'

export const name = 'UCX get/put'

export const setup = () => debianProgram('ucx_perftest', 'ucx-utils')

export const version = () => /[\d.]+/.exec(spawnSync('ucx_info', ['-v'], { encoding: 'utf8' }).stdout)?.[0]

export const completion = {
  write: "the put's memory may be used again; nothing says that the bytes are applied",
}

export const unchecked = true

export const start = (options) => startPerftest(options, { read: 'ucp_get', write: 'ucp_put_bw' })

const ENVIRONMENT = { UCX_TLS: 'tcp', UCX_NET_DEVICES: 'lo' }
const ATTEMPTS = 40
const RETRY_MS = 50
/** A turn by time is one of so many operations, since the program counts and does not look at the clock. */
const OPERATIONS_A_SECOND = 100_000

/** `tests` names the program's test for each kind of operation. */
export async function startPerftest({ placement }, tests) {
  const running = new Set()
  const program = (command, cpu) => {
    const one = timed(['ucx_perftest', ...command], { cpu, env: ENVIRONMENT })
    running.add(one)
    one.done.catch(() => {}).finally(() => running.delete(one))
    return one
  }
  const turn = async (row, rank) => {
    const port = await freePort()
    const target = program(['-p', port], placement.target)
    try {
      const options = ['127.0.0.1', '-p', port, ...optionsFor(tests, row, rank)]
      const initiator = await patiently(() => program(options, placement.initiator).done)
      return sample(row, initiator, await target.done)
    } finally {
      target.stop()
    }
  }
  return {
    async run(row) {
      const result = await turn(row, 50)
      // It knows one percentile a run, and where 64 MiB are moved a few times there is no second one to tell.
      const tail = row.kind === 'serial' && row.count >= 100 ? await turn(row, 99) : null
      return { ...result, p99_us: tail?.p50_us ?? Number.NaN }
    },
    stop: async () => running.forEach((one) => one.stop()),
  }
}

function optionsFor(tests, row, rank) {
  const { op, bytes, warmup, depth = 1 } = row
  return ['-t', tests[op], '-s', bytes, '-n', operations(row), '-w', warmup, '-O', depth, '-R', rank, '-f', '-v']
}

function operations({ count, seconds }) {
  return count ?? Math.round(seconds * OPERATIONS_A_SECOND)
}

/** The program at the target needs a moment until it listens, and says when only into a buffer. */
async function patiently(begin) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await begin()
    } catch (error) {
      if (attempt === ATTEMPTS || !/connect|refused/i.test(error.message)) throw error
      await pause(RETRY_MS)
    }
  }
}

function sample(row, initiator, target) {
  const line = initiator.output.trim().split('\n').at(-1).split(',').map(Number)
  const [n, percentile, , mean] = line
  if (line.length < 8 || !(mean > 0)) throw new Error(`ucx_perftest said ${initiator.output.trim().slice(-200)}`)
  const seconds = (n * mean) / 1e6
  // Their times include the operations that warm up.
  const share = n / (n + row.warmup)
  return {
    n,
    seconds,
    gbps: (n * row.bytes) / seconds / 1e9,
    ops: n / seconds,
    p50_us: percentile,
    cpu_s: { initiator: initiator.cpu_s * share, target: target.cpu_s * share },
  }
}
