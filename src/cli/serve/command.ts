import { once } from 'node:events'
import { hostname } from 'node:os'
import { TcpEndpoint } from '../../../index.js'
import { command, type Values } from '../command.js'
import { CREDENTIALS, securityOf } from '../credentials.js'
import { EXIT, usageError } from '../failure.js'
import { integerOf } from '../parse.js'
import type { Screen } from '../screen.js'
import { ASK_TAG, MAX_ASK_BYTES, MAX_INFO_BYTES } from '../sharing/protocol.js'
import { durationText, sizeText } from '../units.js'
import { Checksums } from './checksums.js'
import { serveMetrics } from './metrics.js'
import { closeFiles, openFiles, type Offer } from './offer.js'
import { publish } from './publish.js'
import { offerDocument, printOffer } from './table.js'
import { tellTurnedAway } from './turned-away.js'
import { Visitors } from './visitors.js'
import { Watch } from './watch.js'

/** From the signal to the end of the process: two seconds for reads, one for connections, and some. */
const LONGEST_END_MS = 5000

const OPTIONS = {
  host: { type: 'string', value: 'ADDRESS', default: '127.0.0.1', help: 'where to listen; anything else than loopback wants a token or TLS' },
  port: { type: 'string', value: 'PORT', default: '0', help: 'where to listen; 0 is any that is free' },
  advertise: { type: 'string', value: 'HOST[:PORT]', help: 'what peers are told to dial, where that is another address' },
  name: { type: 'string', value: 'NAME', help: 'another name for the one file' },
  prefix: { type: 'boolean', default: false, help: 'names tensors FILE/TENSOR: for files with the same tensors' },
  whole: { type: 'boolean', default: false, help: 'serves safetensors files as they are, not by tensor' },
  'read-write': { type: 'boolean', default: false, help: 'peers may write too, and what they write is in the file' },
  'allow-unauthenticated': { type: 'boolean', default: false, help: 'lets everybody who reaches the address read, without token or TLS' },
  watch: { type: 'boolean', default: false, help: 'tells each second who is there and how fast it goes' },
  'metrics-port': { type: 'string', value: 'PORT', help: 'answers /metrics for Prometheus there, by HTTP; 0 is any that is free' },
  'metrics-host': { type: 'string', value: 'ADDRESS', help: 'on that address (127.0.0.1)' },
  ...CREDENTIALS,
} as const

type ServeValues = Values<typeof OPTIONS>

export const serve = command({
  name: 'serve',
  summary: 'Publishes files, and the tensors of safetensors files, until it is interrupted',
  usage: '[options] FILE…',
  names: [1, 100_000],
  goesOn: true,
  options: OPTIONS,
  examples: ['memlane serve model.safetensors', 'memlane serve *.safetensors --host 0.0.0.0 --port 7400 --token-file secret', 'memlane serve model.onnx --watch --metrics-port 9464'],
  notes: ['Files are mapped, not read: one of any size is there at once. Ctrl-C ends it, and says what was served.'],
  async run({ values, names, screen, signal }) {
    const port = integerOf('port', values.port, 0, 65_535)
    const metricsPort = values['metrics-port'] === undefined ? undefined : integerOf('metrics-port', values['metrics-port'], 0, 65_535)
    if (metricsPort === undefined && values['metrics-host'] !== undefined) throw usageError('--metrics-host needs --metrics-port')
    const security = securityOf(values, screen)
    const offer = await openFiles(names, values, (text) => screen.note(text))
    signal.addEventListener('abort', boundEnd, { once: true })
    try {
      const endpoint = await TcpEndpoint.listen({
        host: values.host,
        port,
        maxInfoBytes: MAX_INFO_BYTES,
        ...security,
        ...(values.advertise !== undefined && { advertise: values.advertise }),
        ...(values['allow-unauthenticated'] && { allowUnauthenticated: true }),
      })
      try {
        await serveOffer(endpoint, offer, values, metricsPort, screen, signal)
      } finally {
        await endpoint.close()
      }
    } finally {
      await closeFiles(offer)
    }
  },
})

/** Whatever does not end is cut off; what ends in time knows nothing of this. */
function boundEnd(): void {
  setTimeout(() => process.exit(process.exitCode ?? EXIT.failed), LONGEST_END_MS).unref()
}

/** Serves until the signal fires. */
async function serveOffer(endpoint: TcpEndpoint, offer: Offer, values: ServeValues, metricsPort: number | undefined, screen: Screen, signal: AbortSignal): Promise<void> {
  const start = performance.now()
  const access = values['read-write'] ? 'readwrite' : 'read'
  const visitors = new Visitors(endpoint)
  tellTurnedAway(endpoint, screen)
  const metrics = metricsPort === undefined ? undefined : await serveMetrics(endpoint, values['metrics-host'] ?? '127.0.0.1', metricsPort)
  try {
    const { regions, sums } = await publish(endpoint, offer, access, signal)
    const checksums = new Checksums(offer, sums)
    const url = urlOf(endpoint)
    const about = metrics?.address()
    const metricsUrl = typeof about === 'object' && about !== null ? `http://${bracketed(about.address)}:${about.port}/metrics` : undefined
    printOffer(screen, offer, url, neededBy(values))
    if (metricsUrl !== undefined) screen.line(`  ${metricsUrl}`)
    screen.document({ ...offerDocument(offer, url, access), ...(metricsUrl !== undefined && { metrics: metricsUrl }) })
    const watch = values.watch ? new Watch(endpoint, regions, visitors, checksums, screen) : undefined
    try {
      await answer(endpoint, checksums, visitors, signal)
    } finally {
      watch?.end()
      await checksums.end()
    }
  } finally {
    metrics?.close()
    metrics?.closeAllConnections()
  }
  const { bytes } = endpoint.stats()
  const milliseconds = performance.now() - start
  const written = bytes.stored > 0 ? `, ${sizeText(bytes.stored)} written by them` : ''
  screen.line(`served ${bytes.served === 0 ? 'nothing' : sizeText(bytes.served)} to ${visitors.count === 1 ? '1 peer' : `${visitors.count} peers`} in ${durationText(milliseconds)}${written}`)
  screen.document({ served_bytes: bytes.served, stored_bytes: bytes.stored, peers: visitors.count, seconds: milliseconds / 1000 })
}

/** Answers those who ask for checksums until the signal fires. */
async function answer(endpoint: TcpEndpoint, checksums: Checksums, visitors: Visitors, signal: AbortSignal): Promise<void> {
  const messages = endpoint.messages({ tag: ASK_TAG, maxBytes: MAX_ASK_BYTES })
  const ended = signal.aborted ? Promise.resolve() : once(signal, 'abort')
  void ended.then(() => messages.return?.())
  for await (const message of messages) {
    if (signal.aborted) break
    visitors.asked(message.from)
    await checksums.answer(message, signal)
  }
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** The options without which nobody is let in. */
function neededBy(values: ServeValues): string {
  const token = values['token-file'] === undefined ? '' : ' --token-file FILE'
  const name = values['token-name'] === undefined ? '' : ` --token-name ${values['token-name']}`
  const tls = values['tls-cert'] === undefined ? '' : ` --tls-ca FILE${values['tls-ca'] === undefined ? '' : ' --tls-cert FILE --tls-key FILE'}`
  return token + name + tls
}

/** What peers dial. */
function urlOf(endpoint: TcpEndpoint): string {
  const { host, port } = endpoint.endpointInfo()
  return `tcp://${bracketed(host === '0.0.0.0' || host === '::' ? hostname() : host)}:${port}`
}
