import { native, type Figures } from './native.js'
import type { Limits } from './options.js'

/** Connections that an endpoint has accepted, as target. */
export interface ConnectionStats {
  /** Open now. */
  open: number
  /** Accepted so far. */
  accepted: number
  /** Closed at once: over `maxConnections` or `maxConnectionsPerSource`, or because the endpoint is closed. */
  refused: number
  /** Those among the accepted that spoke the legacy wire. */
  legacy: number
  /** Closed because they were idle for too long. */
  evicted: number
}

/**
 * Operations of a peer. One is counted when it is handed over, whatever becomes of it, and no other is; a batch is one. So what
 * failed is never more than `reads`, `writes`, `sends` and `describes` together.
 *
 * What fails without being handed over is in none of these, though channels of `node:diagnostics_channel` tell it: what throws at
 * the call, a signal that has fired already, and what the peer's description shows to be in vain: a name that is not in it, a
 * range that leaves the region, a tensor that is another (`ERR_TENSOR`). Where the peer was asked for the name first, that question
 * is counted.
 */
export interface PeerOperationStats {
  /** Reads. */
  reads: number
  /** Writes. */
  writes: number
  /** Messages. The notification of a write is part of the write. */
  sends: number
  /** Questions for the peer's regions: of connecting, of refreshing, and of operations whose name it had not described. */
  describes: number
  /** Ended with an error: of all of these. */
  failed: number
  /** Those among the failed that ended with `ERR_TIMEOUT`. */
  timedOut: number
  /** Those among the failed that ended with `ERR_ABORTED`. */
  cancelled: number
  /** Not ended now: reads, writes, messages, and questions for the peer's regions. */
  inFlight: number
}

/** Operations of an endpoint: of its peers as initiator, and messages received. */
export interface OperationStats extends PeerOperationStats {
  /** Messages received. Receives that end otherwise are not counted, nor are they among the failed. */
  receives: number
  /** Operations that ended with `ERR_TIMEOUT`, and connections as target that were closed because nothing came in time. */
  timedOut: number
}

/** Payload that operations of a peer have moved. */
export interface PeerByteStats {
  /** Read from the peer. */
  read: number
  /** Written to the peer; on the legacy wire, on their way there. */
  written: number
  /** Sent in messages; on the legacy wire, on their way. */
  sent: number
}

/** Payload that an endpoint has moved. */
export interface ByteStats extends PeerByteStats {
  /** Stored by receives. */
  received: number
  /** Read by peers from its regions, or on the way to them. */
  served: number
  /** Written by peers into its regions. */
  stored: number
}

/**
 * Connections that were dialled. Peers of one context with the same address use the same ones: `open` tells of all that the
 * peer uses, the others of what its own operations have caused.
 */
export interface LaneStats {
  /** Standing now, or being dialled. Those that several peers share are counted for each peer, and once in a sum. */
  open: number
  /** Dialled so far; a large operation may dial several. */
  dialled: number
  /** Operations, questions for regions among them, that found every lane open that they needed. */
  reused: number
  /** Closed because the peer's answers made no sense, or because none came. */
  poisoned: number
}

/** Counters of a peer. They also answer when it is closed: then they are the last. */
export interface PeerStats {
  /** Operations. */
  operations: PeerOperationStats
  /** Payload moved. */
  bytes: PeerByteStats
  /** Connections to the peer. */
  lanes: LaneStats
  /**
   * Bytes of private copies that wait to be sent: of writes and messages from memory of JavaScript. At most
   * `maxQueuedBytesPerPeer`, or one operation.
   */
  queuedBytes: number
}

/** Counters of a region: what peers did to it. They also answer when it is closed: then they are the last. */
export interface RegionStats {
  /** Requests that were granted. Peers ask for a large range in pieces of 1 MiB, each of which is one. */
  operations: {
    /** READs. */
    reads: number
    /** WRITEs that are stored whole. */
    writes: number
  }
  /** Payload. */
  bytes: {
    /** Read by peers, or on the way to them. */
    served: number
    /** Written by peers. */
    stored: number
  }
  /** Who uses a range of it now: requests of peers, operations of this process and posted receives. The fence waits for them. */
  inFlight: number
}

/**
 * Counters of an endpoint since it was made, as target and as initiator; its closed peers and regions are in it. They also
 * answer when it is closed: then they are the last. Bytes are payload.
 */
export interface EndpointStats {
  /** Connections as target. */
  connections: ConnectionStats
  /** Operations as initiator, and messages received. */
  operations: OperationStats
  /** Payload moved. */
  bytes: ByteStats
  /** Refused as target, by the name of the status that says why; connections over a limit are in `limit`. */
  rejected: Record<string, number>
  /** Connections closed because what came was no request, or no answer. */
  protocolErrors: number
  /** Peers refused because they could not authenticate, or by TLS. */
  authFailures: number
  /** Connections as initiator. */
  lanes: LaneStats
  /** Bytes of private copies that wait to be sent, of all peers. */
  queuedBytes: number
  /** The limits in force, by the names of the options. */
  limits: Record<keyof Limits, number>
}

/** Counters of all endpoints of a context together, closed ones included: no counter falls when one goes. */
export interface ContextStats extends EndpointStats {
  /** Endpoints that are open now. */
  endpoints: number
  /** Peers of theirs that are open now. */
  peers: number
  /** I/O threads that move its bytes. */
  ioThreads: number
}

/** What the figures say now. */
export function statsOf<T>(figures: Figures): T {
  return JSON.parse(native.stats(figures)) as T
}
