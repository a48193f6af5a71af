/**
 * `import { TcpEndpoint } from 'memlane'`: one process reads and writes the memory of another.
 *
 * @module memlane
 */
export { TcpContext } from './src/context.js'
export { DIAGNOSTICS_CHANNELS } from './src/diagnostics.js'
export { TcpEndpoint } from './src/endpoint.js'
export { ARGUMENT_ERROR_CODES, ERROR_CODES, MemlaneError } from './src/errors.js'
export { DISCONNECT_REASONS } from './src/events.js'
export { TransferFuture } from './src/future.js'
export { Peer } from './src/peer.js'
export { PreparedBatch } from './src/prepared.js'
export { processDirectory } from './src/process-directory.js'
export { MemoryRegion } from './src/region.js'
export { DTYPES } from './src/tensor.js'

export type { Bytes, Integer, OwnBytes } from './src/arguments.js'
export type { Announcement, Directory, LookupOptions, NamedTarget } from './src/directory.js'
export type { ArgumentErrorCode, ErrorCode, ErrorOrigin, MemlaneErrorInit } from './src/errors.js'
export type { OperationMessage, OperationSubject } from './src/diagnostics.js'
export type { DisconnectEvent, DisconnectReason, EndpointEmitter, EndpointEvents, PeerEvent } from './src/events.js'
export type {
  Access,
  AllocOptions,
  AllowOptions,
  Assignment,
  BatchOptions,
  CloseOptions,
  ConnectOptions,
  Deadline,
  DescriptorOptions,
  DescriptorRegions,
  EndpointInfo,
  InfoOptions,
  Limits,
  Security,
  ListenOptions,
  MapFileOptions,
  MessagesOptions,
  PeerInfo,
  PublishOptions,
  ReadIntoOptions,
  ReadOptions,
  ReadTensorOptions,
  Received,
  ReceiveOptions,
  RefreshOptions,
  RegionAssignment,
  RegionInfo,
  SendOptions,
  TensorOptions,
  TlsOptions,
  Wire,
  WriteOptions,
} from './src/options.js'
export type { ElementArray, OrtTensor, Publishable, TensorSource } from './src/publish.js'
export type {
  ByteStats,
  ConnectionStats,
  ContextStats,
  EndpointStats,
  LaneStats,
  OperationStats,
  PeerByteStats,
  PeerOperationStats,
  PeerStats,
  RegionStats,
} from './src/stats.js'
export type { DType, HalfArray, Tensor, TensorArrays, TensorData, TensorIn, TensorOf, TensorOfAny } from './src/tensor.js'
