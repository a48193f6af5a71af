/**
 * `import { TcpEndpoint } from 'memlane'`: one process reads and writes the memory of another.
 *
 * @module memlane
 */
export { TcpContext } from './src/context.js'
export { TcpEndpoint } from './src/endpoint.js'
export { ARGUMENT_ERROR_CODES, ERROR_CODES, MemlaneError } from './src/errors.js'
export { TransferFuture } from './src/future.js'
export { Peer } from './src/peer.js'
export { PreparedBatch } from './src/prepared.js'
export { processDirectory } from './src/process-directory.js'
export { MemoryRegion } from './src/region.js'

export type { Bytes, Integer } from './src/arguments.js'
export type { Announcement, Directory, LookupOptions, NamedTarget } from './src/directory.js'
export type { ArgumentErrorCode, ErrorCode, ErrorOrigin, MemlaneErrorInit } from './src/errors.js'
export type {
  Access,
  AllocOptions,
  Assignment,
  BatchOptions,
  ConnectOptions,
  DescriptorOptions,
  DescriptorRegions,
  EndpointInfo,
  EndpointStats,
  Limits,
  ListenOptions,
  MessagesOptions,
  PeerInfo,
  ReadIntoOptions,
  ReadOptions,
  Received,
  ReceiveOptions,
  RefreshOptions,
  RegionAssignment,
  RegionInfo,
  SendOptions,
  Wire,
  WriteOptions,
} from './src/options.js'
