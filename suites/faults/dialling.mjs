/** Faults before there is a connection. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Pair, LIMITS } from './matrix.mjs'
import { Proxy } from './proxy.mjs'

const WITHIN_MS = 1000
const TIMEOUT_MS = 300
/** What a peer that was there ends with; the wait before the next dial is longer than the deadline now and then. */
const GONE = ['ERR_CONNECT', 'ERR_PEER_CLOSED', 'ERR_TIMEOUT']

/** Judges the ends of an exchange that cannot have come through. */
function failedInTime(ends, deadline, codes) {
  const problems = []
  for (const { what, code, ms } of ends) {
    if (!codes.includes(code)) problems.push(`${what} ended with ${code ?? 'a value'}`)
    if (ms > deadline + WITHIN_MS) problems.push(`${what} ended after ${Math.round(ms)} ms, its deadline was ${deadline} ms`)
  }
  return problems
}

/** What is wrong unless an exchange succeeds within a second. */
async function worksAgain(pair, port, number) {
  const began = performance.now()
  for (;;) {
    const ends = await pair.initiator.ask('exchange', { port, slot: 0, number, timeoutMs: WITHIN_MS })
    const took = performance.now() - began
    const wrong = ends.filter(({ right }) => right !== true)
    if (wrong.length === 0 && took <= WITHIN_MS) return { problems: [], took }
    if (took > WITHIN_MS) return { problems: [`nothing worked within a second: ${JSON.stringify(wrong.slice(0, 2))}`], took }
  }
}

/** Nobody listens, for a peer that is new and for one that was there; then somebody does. */
export async function refused() {
  const pair = await Pair.start({ slots: 4 })
  try {
    let proxy = await Proxy.listen(pair.port)
    const { port } = proxy
    await proxy.close()
    const exchange = (timeoutMs) => pair.initiator.ask('exchange', { port, slot: 0, number: 1, timeoutMs })
    const problems = failedInTime(await exchange(TIMEOUT_MS), TIMEOUT_MS, ['ERR_CONNECT'])
    proxy = await Proxy.listen(pair.port, port)
    const first = await worksAgain(pair, port, 2)
    await proxy.close()
    for (let round = 0; round < 6; round++) problems.push(...failedInTime(await exchange(TIMEOUT_MS), TIMEOUT_MS, GONE))
    proxy = await Proxy.listen(pair.port, port)
    const second = await worksAgain(pair, port, 3)
    await pair.initiator.ask('part', { slot: 0 })
    await proxy.close()
    problems.push(...first.problems, ...second.problems, ...(await pair.left()))
    return { problems, detail: `works again after ${Math.round(first.took)} and ${Math.round(second.took)} ms` }
  } finally {
    await pair.end()
  }
}

/** A host that answers no SYN: a listener whose backlog is full. Then it has gone, and another one listens there. */
export async function silent() {
  const pair = await Pair.start({ slots: 4 })
  const deaf = fork(new URL('./deaf.mjs', import.meta.url))
  const crowd = []
  try {
    const [{ port }] = await once(deaf, 'message')
    for (;;) {
      const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined)
      crowd.push(socket)
      const connected = await Promise.race([once(socket, 'connect').then(() => true, () => false), new Promise((resolve) => setTimeout(resolve, 200, false))])
      if (!connected) break
      if (crowd.length > 1000) return { problems: [], skipped: 'the backlog of a listener does not fill up here' }
    }
    const exchange = (timeoutMs) => pair.initiator.ask('exchange', { port, slot: 0, number: 1, timeoutMs })
    const problems = failedInTime(await exchange(TIMEOUT_MS), TIMEOUT_MS, ['ERR_TIMEOUT'])
    problems.push(...failedInTime(await exchange(0), LIMITS.connectTimeoutMs, ['ERR_CONNECT']))
    const ended = once(deaf, 'exit')
    deaf.kill('SIGKILL')
    await ended
    for (const socket of crowd) socket.destroy()
    const proxy = await Proxy.listen(pair.port, port)
    const again = await worksAgain(pair, port, 2)
    await pair.initiator.ask('part', { slot: 0 })
    await proxy.close()
    problems.push(...again.problems, ...(await pair.left()))
    return { problems, detail: `works again after ${Math.round(again.took)} ms` }
  } finally {
    deaf.kill('SIGKILL')
    for (const socket of crowd) socket.destroy()
    await pair.end()
  }
}
