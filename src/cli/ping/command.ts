import { setTimeout as pause } from 'node:timers/promises'
import { MemlaneError, TcpEndpoint, type Peer } from '../../../index.js'
import { command } from '../command.js'
import { diallerOptions, DIALLING, targetOf, timeoutOf } from '../credentials.js'
import { CliError, EXIT, shownError } from '../failure.js'
import { integerOf, numberOf } from '../parse.js'
import type { Screen } from '../screen.js'
import { percentile, sorted } from '../statistics.js'
import { durationText } from '../units.js'

const MOST_SECONDS = 3600

export const ping = command({
  name: 'ping',
  summary: 'Tells whether a peer is up, and how long it takes to answer',
  usage: '[options] tcp://HOST:PORT',
  names: [1, 1],
  options: {
    count: { type: 'string', short: 'c', value: 'N', default: '5', help: 'how often to ask; 0 is until Ctrl-C' },
    interval: { type: 'string', short: 'i', value: 'SECONDS', default: '0.2', help: 'from one question to the next' },
    ...DIALLING,
  },
  examples: ['memlane ping tcp://127.0.0.1:7400', 'memlane ping --count 1 --token-file token.txt tcp://10.0.0.7:7400'],
  notes: [
    "An answer comes from the peer's I/O thread, also while its JavaScript is busy. A legacy peer answers no question: for one, given by its\ninfo.json, only the connection is timed.",
    'It exits with 3 when the peer was not reached, or any question had no answer.',
  ],
  async run({ values, names: [word], screen, signal }) {
    const target = targetOf(word as string)
    const timeoutMs = timeoutOf(values)
    const count = integerOf('count', values.count, 0, Number.MAX_SAFE_INTEGER) || Number.POSITIVE_INFINITY
    const intervalMs = numberOf('interval', values.interval, 0, MOST_SECONDS) * 1000
    const endpoint = await TcpEndpoint.listen(diallerOptions(values, screen))
    try {
      const start = performance.now()
      const peer = await endpoint.connect(target, { timeoutMs, signal })
      const connectMs = performance.now() - start
      const name = `${peer.host}:${peer.port}`
      screen.line(`${name} is up: connected in ${durationText(connectMs)}, ${peer.wire} wire`)
      const outcome = peer.wire === 'native' ? await askOften(peer, { count, intervalMs, timeoutMs, screen, signal }) : undefined
      screen.document({ peer: name, wire: peer.wire, connect_ms: short(connectMs), ...outcome })
      if (outcome !== undefined && outcome.lost > 0) {
        throw new CliError(`${outcome.lost} of ${outcome.asked} questions had no answer`, { code: 'ERR_TIMEOUT', status: EXIT.unreachable })
      }
    } finally {
      await endpoint.close({ drainMs: 0 })
    }
  },
})

interface Asking {
  count: number
  intervalMs: number
  timeoutMs: number
  screen: Screen
  signal: AbortSignal
}

async function askOften(peer: Peer, { count, intervalMs, timeoutMs, screen, signal }: Asking) {
  const answers: number[] = []
  let asked = 0
  while (asked < count && !signal.aborted) {
    const start = performance.now()
    try {
      await peer.refresh({ timeoutMs, signal })
      answers.push(performance.now() - start)
      screen.line(`  answer ${asked + 1} after ${durationText(answers.at(-1) as number)}`)
    } catch (error) {
      // Ctrl-C ends the question that is under way: nobody has failed to answer it.
      if (signal.aborted || !(error instanceof MemlaneError)) break
      screen.line(`  question ${asked + 1}: ${shownError(error).message}`)
    }
    asked++
    const left = intervalMs - (performance.now() - start)
    if (asked < count && left > 0) await pause(left, undefined, { signal }).catch(() => {})
  }
  return summary(answers, asked, screen)
}

function summary(answers: readonly number[], asked: number, screen: Screen) {
  const inOrder = sorted(answers)
  const [least, median, most] = [inOrder[0], percentile(inOrder, 0.5), inOrder.at(-1)]
  const lost = asked - answers.length
  if (least !== undefined && most !== undefined) {
    const figures = `shortest ${durationText(least)}, median ${durationText(median)}, longest ${durationText(most)}`
    screen.line(`${answers.length} of ${asked} answered: ${figures}`)
  }
  return { asked, lost, answers_ms: answers.map(short), ...(least !== undefined && most !== undefined && { min_ms: short(least), p50_ms: short(median), max_ms: short(most) }) }
}

const short = (milliseconds: number): number => Number(milliseconds.toPrecision(4))
