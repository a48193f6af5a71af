/**
 * grpc-js: two unary calls over one HTTP/2 connection, with messages that are bytes already, so that no time goes into
 * protobuf. A write carries its header and a copy of its bytes, as a message with a `bytes` field would.
 */
import { startPair } from '../support/pair.mjs'
import { npmPackages, requireContender } from '../support/provision.mjs'

export const name = 'grpc-js'

export const setup = npmPackages

export const version = () => requireContender('@grpc/grpc-js/package.json').version

export const start = (options) => startPair(import.meta.url, options)

const HEADER_BYTES = 16
const NOTHING = Buffer.alloc(0)
const SETTINGS = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // HTTP/2 begins with windows of 64 KiB, which large messages would spend their time waiting for.
  'grpc-node.flow_control_window': 16 << 20,
}

const same = (buffer) => buffer
const method = (path) => ({
  path,
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
})
const SERVICE = { read: method('/bench.Memory/Read'), write: method('/bench.Memory/Write') }

/** Runs in the target. */
export async function serve({ bytes }) {
  const { Server, ServerCredentials } = requireContender('@grpc/grpc-js')
  const memory = Buffer.alloc(bytes)
  const server = new Server(SETTINGS)
  server.addService(SERVICE, {
    read({ request }, reply) {
      const { offset, length } = decode(request)
      reply(null, memory.subarray(offset, offset + length))
    },
    write({ request }, reply) {
      request.copy(memory, decode(request).offset, HEADER_BYTES)
      reply(null, NOTHING)
    },
  })
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return { address: `127.0.0.1:${port}`, memory, connections: () => 1, close: async () => server.forceShutdown() }
}

/** Runs in the initiator. */
export async function dial({ address, bytes }) {
  const { credentials, makeClientConstructor } = requireContender('@grpc/grpc-js')
  const memory = Buffer.alloc(bytes)
  const Client = makeClientConstructor(SERVICE, 'Memory')
  const client = new Client(address, credentials.createInsecure(), SETTINGS)
  const call = (procedure, request, length, take) =>
    new Promise((resolve, reject) => {
      client[procedure](request, (error, body) => {
        if (error) return reject(error)
        take?.(body)
        resolve(length)
      })
    })
  return {
    memory,
    read: (offset, length) => call('read', encode(offset, length), length, (body) => body.copy(memory, offset)),
    write(offset, length) {
      const body = memory.subarray(offset, offset + length)
      return call('write', Buffer.concat([encode(offset, length), body]), length)
    },
    close: async () => client.close(),
  }
}

function encode(offset, length) {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeBigUInt64LE(BigInt(offset), 0)
  header.writeBigUInt64LE(BigInt(length), 8)
  return header
}

function decode(buffer) {
  return { offset: Number(buffer.readBigUInt64LE(0)), length: Number(buffer.readBigUInt64LE(8)) }
}
