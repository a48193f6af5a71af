/**
 * Calls from one process into another over Node's own channel. They steer a measurement and report its result; nothing
 * of what is measured passes here, but for the contender that is this very channel.
 */

/** Answers the calls that arrive at `port`, which is `process` or a `ChildProcess`. */
export function answerCalls(port, handlers) {
  port.on('message', async ({ call, id, argument }) => {
    if (call === undefined) return
    let reply
    try {
      reply = { reply: id, value: await handlers[call](argument) }
    } catch (error) {
      reply = { reply: id, failure: error?.message ?? String(error) }
    }
    // Whoever asked may have ended meanwhile, and then nobody misses the answer.
    if (port.connected) port.send(reply, () => {})
  })
}

/** A function that calls the process behind `port`; calls fail when that process ends. */
export function caller(port, description) {
  const waiting = new Map()
  let sequence = 0
  let gone = null
  const fail = (reason) => {
    gone ??= new Error(`${description} ${reason}`)
    for (const { reject } of waiting.values()) reject(gone)
    waiting.clear()
  }
  port.on('message', ({ reply, value, failure }) => {
    const call = waiting.get(reply)
    if (call === undefined) return
    waiting.delete(reply)
    if (failure === undefined) call.resolve(value)
    else call.reject(new Error(`${description}: ${failure}`))
  })
  port.on('error', (error) => fail(`did not start: ${error.message}`))
  port.on('exit', (code, signal) => fail(`ended with ${signal ?? `status ${code}`}`))
  return (call, argument) =>
    new Promise((resolve, reject) => {
      if (gone !== null) return reject(gone)
      const id = ++sequence
      waiting.set(id, { resolve, reject })
      port.send({ call, id, argument }, (error) => error && fail(`cannot be reached: ${error.message}`))
    })
}
