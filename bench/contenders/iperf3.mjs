/**
 * iperf3: one stream in one direction by calls of 1 MiB, a client for each turn. It has no requests and no memory to fill:
 * the receiver reads into one buffer that stays in the cache and answers nothing, and nobody can check the bytes.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'

import { freePort } from '../support/port.mjs'
import { debianProgram } from '../support/provision.mjs'
import { timed } from '../support/timed.mjs'

export const name = 'iperf3'

export const setup = () => debianProgram('iperf3', 'iperf3')

export const version = () => /iperf ([\d.]+)/.exec(spawnSync('iperf3', ['--version'], { encoding: 'utf8' }).stdout)?.[1]

const TAKEN = 'the receiver has taken the bytes from its socket, into one buffer for all of them'

export const completion = { read: TAKEN, write: TAKEN }

export const unchecked = true

const ATTEMPTS = 40
const RETRY_MS = 50

export async function start({ placement }) {
  const port = await freePort()
  const server = timed(['iperf3', '-s', '-p', port], { cpu: placement.target, patienceMs: null })
  return {
    async run({ op, bytes, count }) {
      const options = ['-c', '127.0.0.1', '-p', port, '-n', bytes * count, '-l', '1M', '-J', ...(op === 'read' ? ['-R'] : [])]
      for (let attempt = 1; ; attempt++) {
        try {
          return sample(await timed(['iperf3', ...options], { cpu: placement.initiator }).done)
        } catch (error) {
          // The server needs a moment at first, and another one after each client.
          if (attempt === ATTEMPTS || !/refused|busy/i.test(error.message)) throw error
          await pause(RETRY_MS)
        }
      }
    },
    stop: async () => server.stop(),
  }
}

function sample({ output }) {
  const { end } = JSON.parse(output)
  const { seconds, bytes } = end.sum_received
  const share = end.cpu_utilization_percent
  return {
    seconds,
    gbps: bytes / seconds / 1e9,
    cpu_s: { initiator: (share.host_total / 100) * seconds, target: (share.remote_total / 100) * seconds },
  }
}
