import type { ContextStats, EndpointStats } from './stats.js'

/** Label and value of each sample; a metric without labels has one sample. */
type Samples = number | { label: string; values: Record<string, number> }

interface Metric {
  name: string
  type: 'counter' | 'gauge'
  help: string
  /** Nothing where the statistics do not tell. */
  samples(stats: EndpointStats & Partial<ContextStats>): Samples | undefined
}

/** Every metric. docs/metrics.md says the same, and a test compares them: names are stable. */
const METRICS: readonly Metric[] = [
  {
    name: 'memlane_operations_total',
    type: 'counter',
    help: 'Operations handed over, by kind; describe asks a peer for its regions; of receives, messages received.',
    samples: ({ operations: { reads, writes, sends, describes, receives } }) => ({
      label: 'kind',
      values: { read: reads, write: writes, send: sends, describe: describes, receive: receives },
    }),
  },
  {
    name: 'memlane_operations_failed_total',
    type: 'counter',
    help: 'Operations that ended with an error, of all kinds but receive.',
    samples: ({ operations }) => operations.failed,
  },
  {
    name: 'memlane_operations_timed_out_total',
    type: 'counter',
    help: 'Operations that passed their deadline, and accepted connections that were closed because nothing came in time.',
    samples: ({ operations }) => operations.timedOut,
  },
  {
    name: 'memlane_operations_cancelled_total',
    type: 'counter',
    help: 'Operations that the program gave up.',
    samples: ({ operations }) => operations.cancelled,
  },
  {
    name: 'memlane_operations_in_flight',
    type: 'gauge',
    help: 'Operations that have not ended.',
    samples: ({ operations }) => operations.inFlight,
  },
  {
    name: 'memlane_bytes_total',
    type: 'counter',
    help: 'Payload moved, by direction: read, written and sent by operations here, received by receives, served to and stored by peers.',
    samples: ({ bytes: { read, written, sent, received, served, stored } }) => ({
      label: 'direction',
      values: { read, written, sent, received, served, stored },
    }),
  },
  {
    name: 'memlane_queued_bytes',
    type: 'gauge',
    help: 'Private copies of writes and messages that wait to be sent.',
    samples: ({ queuedBytes }) => queuedBytes,
  },
  {
    name: 'memlane_connections_open',
    type: 'gauge',
    help: 'Accepted connections that are open.',
    samples: ({ connections }) => connections.open,
  },
  {
    name: 'memlane_connections_accepted_total',
    type: 'counter',
    help: 'Connections accepted.',
    samples: ({ connections }) => connections.accepted,
  },
  {
    name: 'memlane_connections_refused_total',
    type: 'counter',
    help: 'Connections closed at once, over a limit or because the endpoint is closed.',
    samples: ({ connections }) => connections.refused,
  },
  {
    name: 'memlane_connections_legacy_total',
    type: 'counter',
    help: 'Accepted connections that spoke the legacy wire.',
    samples: ({ connections }) => connections.legacy,
  },
  {
    name: 'memlane_connections_evicted_total',
    type: 'counter',
    help: 'Accepted connections closed because they were idle for too long.',
    samples: ({ connections }) => connections.evicted,
  },
  {
    name: 'memlane_rejected_total',
    type: 'counter',
    help: 'Requests refused as target, by status; connections over a limit count as limit.',
    samples: ({ rejected }) => ({ label: 'status', values: rejected }),
  },
  {
    name: 'memlane_protocol_errors_total',
    type: 'counter',
    help: 'Connections closed because what came was no request, or no answer.',
    samples: ({ protocolErrors }) => protocolErrors,
  },
  {
    name: 'memlane_auth_failures_total',
    type: 'counter',
    help: 'Peers refused because they could not authenticate, or by TLS.',
    samples: ({ authFailures }) => authFailures,
  },
  {
    name: 'memlane_lanes_open',
    type: 'gauge',
    help: 'Dialled connections that stand or are being made.',
    samples: ({ lanes }) => lanes.open,
  },
  {
    name: 'memlane_lanes_dialled_total',
    type: 'counter',
    help: 'Connections dialled.',
    samples: ({ lanes }) => lanes.dialled,
  },
  {
    name: 'memlane_lanes_reused_total',
    type: 'counter',
    help: 'Operations that found every connection open that they needed.',
    samples: ({ lanes }) => lanes.reused,
  },
  {
    name: 'memlane_lanes_poisoned_total',
    type: 'counter',
    help: 'Dialled connections closed because the answers made no sense, or none came.',
    samples: ({ lanes }) => lanes.poisoned,
  },
  {
    name: 'memlane_endpoints',
    type: 'gauge',
    help: 'Endpoints that are open; of a context only.',
    samples: ({ endpoints }) => endpoints,
  },
  {
    name: 'memlane_peers',
    type: 'gauge',
    help: 'Peers that are open; of a context only.',
    samples: ({ peers }) => peers,
  },
  {
    name: 'memlane_io_threads',
    type: 'gauge',
    help: 'Threads that move bytes; of a context only.',
    samples: ({ ioThreads }) => ioThreads,
  },
  {
    name: 'memlane_limit',
    type: 'gauge',
    help: 'The limits in force, by the name of the option, which also tells the unit.',
    samples: ({ limits }) => ({ label: 'name', values: limits }),
  },
]

/** The statistics in Prometheus' text exposition format, version 0.0.4. */
export function metricsOf(stats: EndpointStats | ContextStats): string {
  let text = ''
  for (const { name, type, help, samples } of METRICS) {
    const told = samples(stats)
    if (told === undefined) continue
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    if (typeof told === 'number') text += `${name} ${told}\n`
    else for (const [value, count] of Object.entries(told.values)) text += `${name}{${told.label}="${value}"} ${count}\n`
  }
  return text
}
