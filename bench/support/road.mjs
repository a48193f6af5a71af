/** A long road between the two processes of a contender: `bench/road` says what it models. */
import { cargoProgram } from './cargo.mjs'
import { Program } from './program.mjs'

/**
 * Opens a road of so much round trip for processes of this placement: a placement for the processes of contenders, and
 * `close`, once they have ended.
 */
export async function openRoad({ rttMs }, placement) {
  if (process.platform !== 'linux') throw new Error('roads need Linux (network namespaces and TUN devices)')
  const binary = cargoProgram('road')
  const carrier = new Program('bench/road', [binary, 'open', '--rtt-us', Math.round(rttMs * 1000)], { quiet: true })
  const { address: host, ...ends } = await carrier.answer()
  const place = (end) => ({ cpu: placement[end], enter: [binary, 'in', ends[end]], host })
  return {
    placement: {
      text: `${placement.text}, ${rttMs} ms of round trip between them, carried by a third process that is on neither`,
      target: place('target'),
      initiator: place('initiator'),
    },
    close: () => carrier.stop(),
  }
}
