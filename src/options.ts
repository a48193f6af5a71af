import type { Bytes, Integer } from './arguments.js'
import type { TcpContext } from './context.js'
import type { Directory } from './directory.js'
import type { Peer } from './peer.js'
import type { MemoryRegion } from './region.js'
import type { DType, TensorData } from './tensor.js'

/** What a peer may do with a region. */
export type Access = 'none' | 'read' | 'write' | 'readwrite'

/** How to speak with a peer: with status frames, or DLSlime's wire byte for byte. */
export type Wire = 'native' | 'legacy'

/** The bounds of a context and its endpoints. Lengths are bytes, times are milliseconds, all are integers. */
export interface Limits {
  /**
   * Threads of the process that this context uses to move bytes; one serves many peers, more pay off where one core cannot
   * fill the network. Default 1; 1 to 64.
   */
  ioThreads?: Integer | undefined
  /**
   * Most connections to one peer for reads and writes, opened as they are needed: the first is for small operations, the
   * others are for large ones. Messages have one more for each endpoint that sends. Default 2; 1 to 16.
   */
  lanesPerPeer?: Integer | undefined
  /** Connections held open as a target; more are closed at once. Default 1,024; 1 to 1,000,000. */
  maxConnections?: Integer | undefined
  /** Connections held open as a target from one source address; more are closed at once. Default 64; 1 to 1,000,000. */
  maxConnectionsPerSource?: Integer | undefined
  /** Longest operation accepted as a target; longer reads and writes are split. Default 1 GiB; 1 MiB to 1 TiB. */
  maxOperationBytes?: Integer | undefined
  /**
   * Private copies that wait for one peer: of writes and messages from memory of JavaScript. What does not fit fails with
   * `ERR_LIMIT` and is not copied; where nothing waits, one operation of any size is taken. Default 256 MiB; 1 MiB to 1 TiB.
   */
  maxQueuedBytesPerPeer?: Integer | undefined
  /**
   * Longest endpoint info that a peer is told, or that is taken: from a peer, or by `connect`. One has some 75 bytes a region
   * beside its name, so that the default is enough for ten thousand regions; with more, raise it on both sides. Looking an
   * info through takes the event loop some 2.5 ms for 1,000 regions, and a peer that means harm can make it a second for each
   * MiB. Default 1 MiB; 1 MiB to 256 MiB.
   */
  maxInfoBytes?: Integer | undefined
  /** Bytes of messages kept for receives that are not posted yet. Default 1 MiB; 0 to 1 GiB. */
  maxUnexpectedBytes?: Integer | undefined
  /** Messages kept for receives that are not posted yet. Default 64; 0 to 8,192. */
  maxUnexpectedMessages?: Integer | undefined
  /** How long a message waits for a receive that is not posted yet, from its first byte on. Default 5,000 ms; 1 ms to a day. */
  unexpectedTimeoutMs?: Integer | undefined
  /** Resolving a name and connecting, together. Default 5,000 ms; 1 ms to a day. */
  connectTimeoutMs?: Integer | undefined
  /** From connect or accept until both sides know whom they speak with. Default 5,000 ms; 1 ms to a day. */
  handshakeTimeoutMs?: Integer | undefined
  /** From the first byte of a header to its last. Default 10,000 ms; 1 ms to a day. */
  headerTimeoutMs?: Integer | undefined
  /** Longest time without a byte while a body is on its way. Default 30,000 ms; 1 ms to a day. */
  progressTimeoutMs?: Integer | undefined
  /** An idle connection is closed after this. Default 60,000 ms; 1 ms to a day. */
  idleTimeoutMs?: Integer | undefined
  /** Longest refused payload that is read to nowhere so that its connection can go on. Default 1 MiB; 0 to 1 GiB. */
  drainBytes?: Integer | undefined
  /** How long a connection that is being closed reads what is still coming. Default 2,000 ms; 0 to a day. */
  drainMs?: Integer | undefined
  /**
   * Send buffer of sockets to other machines; 0 leaves it to the system, which lets it grow with the road. Default 0; 0 to
   * 1 GiB.
   */
  sendBufferBytes?: Integer | undefined
  /**
   * Receive buffer of sockets to other machines; 0 leaves it to the system, which lets it grow with the road. Default 0; 0 to
   * 1 GiB.
   */
  receiveBufferBytes?: Integer | undefined
  /** Send buffer of sockets whose other end is on this machine; 0 is as for other machines. Default 512 KiB; 0 to 1 GiB. */
  localSendBufferBytes?: Integer | undefined
  /** Receive buffer of sockets whose other end is on this machine; 0 is as for other machines. Default 1 MiB; 0 to 1 GiB. */
  localReceiveBufferBytes?: Integer | undefined
}

/** Certificates and keys in PEM. Each may hold several certificates behind one another. */
export interface TlsOptions {
  /** The certificate that peers are shown, and behind it those that lead to its authority. With `key`. Default: none; nobody can connect. */
  cert?: string | Uint8Array | undefined
  /** The private key of `cert`, without a password. */
  key?: string | Uint8Array | undefined
  /** The authorities that certificates of peers have to be of. No others are believed. Default: none; nobody can be dialled. `undefined` is refused. */
  ca?: string | Uint8Array
  /**
   * What is asked of peers that connect: `'none'` asks for nothing, `'request'` checks a certificate where there is one,
   * `'require'` lets nobody in without one of `ca`. Default `'require'` where there is a `ca`, else `'none'`.
   */
  clientCert?: 'none' | 'request' | 'require' | undefined
  /**
   * The name that certificates of peers have to be for, a DNS name or an IP address. Default: the host that is dialled. Other
   * names than those in `subjectAltName` do not count.
   */
  serverName?: string | undefined
}

/** Who may connect to the endpoints of a context, and how they show that they may. */
export interface Security {
  /**
   * The secret that both ends of every connection must know; each proves it to the other, and it never leaves the process.
   * Take 16 random bytes or more, as of `crypto.randomBytes(16)`: the length is not checked, only that it is not empty. A string
   * counts as its UTF-8. Beside {@link tokens} it is one more of them, without a name, and the one that peers are dialled with.
   * Default: none is asked for. A `token` that is `undefined` is refused, as a variable that is not set: leave it out.
   */
  token?: string | Uint8Array
  /**
   * Secrets by name, where there are several. Peers are let in with any of them and dialled with {@link token}, or with the first
   * where there is none. Both sides need a secret under the same name: another name, or none on one side, is another token.
   *
   * So one is replaced without a pause, each step on every process before the next: add the new one behind the old one, then put
   * it first, then take the old one away. A fleet that began with `token: a` goes by `token: a, tokens: { next: b }`, then
   * `tokens: { next: b, '': a }`, where the name `''` is that of a `token`, then `tokens: { next: b }`.
   *
   * At most 64, `token` among them. No name is a whole number: JavaScript would put it first. Default: none; `undefined` is refused.
   */
  tokens?: Readonly<Record<string, string | Uint8Array>>
  /**
   * Encrypts every connection with TLS 1.3, in both directions, and checks certificates. Peers without TLS are neither let in nor
   * dialled, and the legacy wire is not spoken. A `token` is proven inside of it. Default: connections are not encrypted; `undefined` is refused.
   */
  tls?: TlsOptions
  /**
   * Whether the legacy wire is spoken, in both directions. It knows no tokens: beside one, with `true`, whoever reaches the port is let
   * in by it, and peers that prove nothing are read from and written to. Default: it is spoken where there is neither a token nor
   * `tls`. `true` beside `tls` is refused.
   */
  legacy?: boolean | undefined
  /**
   * Whether endpoints may listen beyond this machine without a token or TLS: whoever reaches the port may do what the regions grant.
   * Default `false`: that is refused with `ERR_INSECURE_BIND`.
   */
  allowUnauthenticated?: boolean | undefined
}

/**
 * Options of `TcpEndpoint.listen`. An endpoint with limits, or any option of {@link Security}, has a context of its own; one with none of them and no
 * `context` is of the process's own context.
 */
export interface ListenOptions extends Limits, Security {
  /** The context that it belongs to, and ends with. Limits are the context's and may not stand beside it. */
  context?: TcpContext | undefined
  /** Address or name to listen on. Default `'127.0.0.1'`: reachable from this machine only. */
  host?: string | undefined
  /** TCP port, 0 to 65,535. Default 0: the system picks one, `endpoint.port` tells which. */
  port?: Integer | undefined
  /**
   * The address of this machine that connections to peers come from: an IPv4 or IPv6 address, no name. Addresses of the other
   * family are not dialled then; a peer that has no other fails with `ERR_CONNECT`. Default: the system's choice.
   */
  localAddress?: string | undefined
  /**
   * What the endpoint info says in place of the address that it listens on, for peers that reach it by another one (behind
   * NAT, in a container, listening on `0.0.0.0`): `host`, `host:port`, `[v6]` or `[v6]:port`. Taken as it is. Without a port
   * the info has the one that it listens on. `endpoint.host` and `endpoint.port` stay what they are. Default: neither.
   */
  advertise?: string | undefined
  /**
   * Announces the endpoint under this name from when it listens to when it closes; whoever had the name loses it. Where those who
   * wait for it are to find regions, make these first and then call {@link TcpEndpoint.announce}. 1 to 255 bytes of UTF-8, no NUL,
   * no lone surrogates. Default: it is not announced.
   */
  name?: string | undefined
  /** Where names are announced and looked up. Default: `processDirectory`, the process's own. */
  directory?: Directory | undefined
}

/** Options of the `close` of endpoints, contexts and regions. */
export interface CloseOptions {
  /**
   * How long running work of peers may finish before their connections are cut; 0 cuts them at once. Default: the limit
   * `drainMs`, 2,000 ms unless the context says otherwise; 0 to a day.
   */
  drainMs?: Integer | undefined
}

/** Whom a region is for. */
export interface AllowOptions {
  /** What peers may do. Default: as the method says. */
  access?: Access | undefined
  /**
   * The tokens that it is for, by their names among {@link Security.tokens}: an array where all of them have the `access`, an
   * object of rights where each has its own. For peers that came with another token, or on the legacy wire, there is no such
   * region: it is not in the endpoint info that they get, and its addresses are nobody's. A token that replaces another under a
   * new name has to be named here too. Default: everybody who is let in.
   */
  allow?: readonly string[] | Readonly<Record<string, Exclude<Access, 'none'>>> | undefined
}

/** Options of `endpoint.alloc`. */
export interface AllocOptions extends AllowOptions {
  /**
   * What peers may do. Default `'none'`: nothing is reachable unless somebody asked for it, and memory that only this
   * process reads into or writes from needs no rights. A region without rights is not in the endpoint info.
   */
  access?: Access | undefined
}

/** Options of `endpoint.endpointInfo`. */
export interface InfoOptions {
  /**
   * The name of a token: the info is the one that a peer gets which came with it, regions of some tokens included. Default: the
   * one for everybody who is let in.
   */
  as?: string | undefined
}

/** What `endpoint.alloc` makes a tensor of. */
export interface TensorOptions<D extends DType = DType> extends AllocOptions {
  /** The type of its elements. */
  dtype: D
  /** Elements by dimension, the last one closest; `[]` is a single element. At most 32, none of them 0. */
  shape: readonly Integer[]
}

/** Options of `endpoint.publish`. */
export interface PublishOptions extends AllowOptions {
  /** What peers may do. Default `'read'`. */
  access?: Access | undefined
}

/** Options of `endpoint.mapFile`. */
export interface MapFileOptions<D extends DType = DType> extends AllowOptions {
  /**
   * What peers may do. Default `'read'`, for which the file is opened and mapped to be read only, by this process too: it
   * then is no place for a read or a message. All others need the right to write the file; `'none'` is one that only this
   * process reads into or writes from. With an object of rights by token, the file is opened for all of them together.
   */
  access?: Access | undefined
  /** First byte of the file, in bytes, whatever the size of a page. Default 0; 0 to 2^53 - 1. */
  offset?: Integer | undefined
  /** Bytes. Default: the rest of the file as it is now, or what `dtype` and `shape` make. 1 to 2^53 - 1. */
  length?: Integer | undefined
  /** The type of its elements; with `shape`. */
  dtype?: D | undefined
  /** Elements by dimension; with `dtype`. */
  shape?: readonly Integer[] | undefined
  /**
   * Gives the region a `buffer` also where the file may be truncated. Touching a byte that is gone then ends the process by
   * SIGBUS. Default false: such a region has `copyOut` and `text`.
   */
  unsafeBuffer?: boolean | undefined
  /** Gives up when it fires; the failure's `cause` is its reason. */
  signal?: AbortSignal | undefined
}

/** When an operation gives up. */
export interface Deadline {
  /** Gives up after so many milliseconds. Default 30,000; 0 to 2,147,483,647, where 0 is never. */
  timeoutMs?: Integer | undefined
  /** Gives up when it fires; the failure's `cause` is its reason. */
  signal?: AbortSignal | undefined
}

/** Options of `endpoint.connect`. */
export interface ConnectOptions {
  /**
   * Gives up after so many milliseconds. Default 30,000; 0 to 2,147,483,647, where 0 is never. The endpoint's
   * `connectTimeoutMs` and `handshakeTimeoutMs` hold beside it.
   */
  timeoutMs?: Integer | undefined
  /** Gives up when it fires; the failure's `cause` is its reason. */
  signal?: AbortSignal | undefined
  /** Which wire to speak. Default: what the info says, and `'native'` for a URL. */
  wire?: Wire | undefined
}

/** Options of `peer.read`. */
export interface ReadOptions extends Deadline {
  /** First byte of the remote region. Default 0. */
  remoteOffset?: Integer | undefined
  /** Bytes to read. Default: the rest of the remote region. */
  length?: Integer | undefined
}

/** Options of `peer.readTensor`. */
export interface ReadTensorOptions<D extends DType = DType> extends Deadline {
  /** The type that its elements have to be of, which is what TypeScript then knows of them. Default: whichever they are of. */
  dtype?: D | undefined
  /**
   * The rows to read, `[from, to]`: those along the first axis from `from` up to, and without, `to`, and nothing of the others.
   * The result is a tensor whose first extent is `to - from`; where both are the same it has no elements. Default: all of them.
   */
  rows?: readonly [from: Integer, to: Integer] | undefined
  /**
   * Where the elements go: a region that was made with the same `dtype` and `shape` (no copy), or a typed array of that type
   * and length (one copy, when all are in). With `rows` that is the shape of the rows. Default: memory of their own.
   */
  into?: MemoryRegion | TensorData | undefined
}

/** Options of `peer.read` into memory of the caller's. */
export interface ReadIntoOptions extends ReadOptions {
  /** Where the bytes go: a region (no copy), or memory of JavaScript (one copy, when the data is in). */
  into: MemoryRegion | Bytes
  /** First byte of `into`, in bytes whatever its element size. Default 0. */
  intoOffset?: Integer | undefined
  /** Bytes to read. Default: the rest of the remote region, or of `into` where that is shorter. */
  length?: Integer | undefined
}

/** Options of `peer.write`. */
export interface WriteOptions extends Deadline {
  /** First byte of the remote region. Default 0. */
  remoteOffset?: Integer | undefined
  /** First byte of the source, in bytes whatever its element size. Default 0. */
  sourceOffset?: Integer | undefined
  /** Bytes to write. Default: the rest of the source. */
  length?: Integer | undefined
  /**
   * Tells the peer: a message with this tag follows when the write has been applied, never before. Its 16 bytes are the
   * address and the length of the write, two little-endian u64. The write then ends when a receive of the peer's holds it; if
   * that fails (`ERR_NO_RECEIVE`), the write has been applied all the same, and the error says `outcome: 'unknown'`.
   * 0 to 2^53 - 1.
   */
  notify?: Integer | undefined
}

/** One entry of a batch: a range here, and the range at the peer that it is read from or written to. */
export interface Assignment {
  /** The region's name at the peer. */
  remote: string
  /** First byte of the remote region. Default 0. */
  remoteOffset?: Integer | undefined
  /** This side's end: a region (no copy), or memory of JavaScript (one copy). */
  local: MemoryRegion | Bytes
  /** First byte of `local`, in bytes whatever its element size. Default 0. */
  localOffset?: Integer | undefined
  /**
   * Bytes. Default of a read: the rest of the remote region, or of `local` where that is shorter. Default of a write: the
   * rest of `local`.
   */
  length?: Integer | undefined
}

/** One entry of a prepared batch. */
export interface RegionAssignment extends Assignment {
  /** This side's end. */
  local: MemoryRegion
}

/** Options of `peer.readBatch` and `peer.writeBatch`, and of `start` of a prepared batch. The deadline is that of the whole. */
export interface BatchOptions extends Deadline {}

/** Between which regions the ranges of descriptors lie: numbers in threes, `localOffset, remoteOffset, length` in bytes. */
export interface DescriptorRegions {
  /** The region's name at the peer. */
  remote: string
  /** This side's end of every entry. */
  local: MemoryRegion
}

/** Options of `peer.readBatch` and `peer.writeBatch` with descriptors. */
export interface DescriptorOptions extends Deadline, DescriptorRegions {}

/** Options of `peer.send`. */
export interface SendOptions extends Deadline {
  /** A number for the receiver to choose messages by. Default 0; 0 to 2^53 - 1. */
  tag?: Integer | undefined
  /** First byte of the source, in bytes whatever its element size. Default 0. */
  sourceOffset?: Integer | undefined
  /** Bytes to send. Default: the rest of the source. */
  length?: Integer | undefined
}

/** Options of `peer.refresh`. */
export interface RefreshOptions extends Deadline {}

/** Options of `endpoint.recv`. */
export interface ReceiveOptions {
  /** Takes only messages of this tag. Default: any. 0 to 2^53 - 1. */
  tag?: Integer | undefined
  /**
   * Takes only messages of this peer, which belongs to the endpoint that receives and is on the native wire. Default:
   * anybody's.
   *
   * A peer that is started anew is known as the same once it has described itself again: by {@link Peer.refresh}, or when a
   * name was not found. Receives that were posted before take its messages from then on too; until then they wait, and other
   * receives may take them. A receive that is posted ends with `ERR_CLOSED` when the peer is closed here.
   */
  from?: Peer | undefined
  /** Fails with `ERR_MESSAGE_SIZE` when the message is not exactly as long as the target. Default false. */
  exactSize?: boolean | undefined
  /** First byte of the target, in bytes whatever its element size. Default 0. */
  offset?: Integer | undefined
  /** Bytes to take at most. Default: the rest of the target. */
  length?: Integer | undefined
  /** Withdraws the receive when it fires; the failure's `cause` is its reason. */
  signal?: AbortSignal | undefined
}

/** Options of `endpoint.messages`. */
export interface MessagesOptions {
  /** Takes only messages of this tag. Default: any. 0 to 2^53 - 1. */
  tag?: Integer | undefined
  /** Takes only messages of this peer, as a receive does. Default: anybody's. */
  from?: Peer | undefined
  /** Longest message that is taken whole; of a longer one the rest is lost. Default 65,536; 0 to 2^53 - 1. */
  maxBytes?: Integer | undefined
  /** Receives posted and messages taken ahead of whoever reads them, together. Default 16; 1 to 65,536. */
  buffered?: Integer | undefined
  /**
   * Ends the messages when it fires: `next()` gives those that were taken already, then rejects once with `ERR_ABORTED`, whose
   * `cause` is its reason, and is done. A loop that it ends throws that.
   */
  signal?: AbortSignal | undefined
}

/** How a receive ended. */
export interface Received {
  /** Bytes stored. */
  bytes: number
  /** Bytes that the message had; more than `bytes` when it was truncated. */
  messageBytes: number
  /** The sender's tag; a bigint only when a foreign peer sent one above 2^53 - 1. */
  tag: number | bigint
  /**
   * The address that the sender's connection comes from, as `host:port`: for a log. It is not where the sender listens, and
   * another one after a reconnect. Every endpoint sends by a connection of its own.
   */
  from: string
  /**
   * The sender, where it is an open peer of the endpoint that received: for an answer. Missing when this side has not
   * connected to it, when it was started anew and has not been asked since ({@link Peer.refresh}), and on the legacy wire,
   * which does not say who sends.
   */
  peer?: Peer
  /** Whether the message was longer than the target. */
  truncated: boolean
  /**
   * The bytes stored, as a view over the target. In a region without `buffer`, a private copy, made when this is first
   * looked at: that throws as the region's `copyOut` does.
   */
  data: Uint8Array
}

/** A region as the endpoint info lists it, under its name. */
export interface RegionInfo {
  /** Its first byte on the wire. */
  addr: number
  /** Its length in bytes. */
  length: number
  /** What a peer may do with it; foreign peers do not say. */
  access?: Access
  /** The type of its elements, where its owner said: a {@link DType}, or one of a newer version's. */
  dtype?: string
  /** Elements by dimension, where there is a `dtype`. */
  shape?: readonly number[]
}

/** What peers exchange to find each other: plain JSON, with DLSlime's keys. */
export interface EndpointInfo {
  /** The address that it listens on. */
  host: string
  /** The TCP port that it listens on. */
  port: number
  /** Regions by name. */
  mr_info: Record<string, RegionInfo>
  /** The wire's version, and a number that is another one after each start. */
  memlane: {
    /** The version of the wire: 1. */
    version: number
    /** 32 hex digits, others after each start. */
    instance: string
  }
}

/** The endpoint info of a peer, ours or foreign; or its address alone, which is spoken with on the native wire. */
export interface PeerInfo {
  /** An address or a name. */
  host: string
  /** A TCP port, 1 to 65,535. */
  port: number
  /** Regions by name. A native peer is asked for the present ones; a legacy peer has these. */
  mr_info?: Readonly<Record<string, Pick<RegionInfo, 'addr' | 'length'>>>
  /** There when the peer speaks the native wire. */
  memlane?: unknown
}
