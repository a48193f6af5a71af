import { TcpEndpoint } from '../../../index.js'
import { command } from '../command.js'
import { diallerOptions, DIALLING, targetOf, timeoutOf } from '../credentials.js'
import { durationText } from '../units.js'

export const ping = command({
  name: 'ping',
  summary: 'Tells whether a peer is up, and how long it takes to answer',
  usage: '[options] tcp://HOST:PORT',
  names: [1, 1],
  options: { ...DIALLING },
  examples: ['memlane ping tcp://127.0.0.1:7400'],
  async run({ values, names: [word], screen, signal }) {
    const target = targetOf(word as string)
    const timeoutMs = timeoutOf(values)
    const endpoint = await TcpEndpoint.listen(diallerOptions(values, screen))
    try {
      const start = performance.now()
      const peer = await endpoint.connect(target, { timeoutMs, signal })
      const connectMs = performance.now() - start
      screen.line(`${peer.host}:${peer.port} is up: connected in ${durationText(connectMs)}`)
      screen.document({ peer: `${peer.host}:${peer.port}`, wire: peer.wire, connect_ms: connectMs })
    } finally {
      await endpoint.close({ drainMs: 0 })
    }
  },
})
