/**
 * What examples may take as given, by the names that documents use. An example names what it needs in the comment before it, and
 * gets it from here: as types when it is compiled, and as it is when it runs.
 */
import { readFileSync } from 'node:fs'
import { TcpContext, TcpEndpoint } from 'memlane'

export { readFileSync }

/** Another endpoint, which examples know as `peer` alone. */
const target = await TcpEndpoint.listen()
target.alloc('weights', { dtype: 'bfloat16', shape: [4096, 4096], access: 'read' })
target.alloc('inbox', 1 << 20, { access: 'readwrite' })
target.alloc('kv', 1 << 20, { access: 'readwrite' })

export const context = new TcpContext()
export const endpoint = await TcpEndpoint.listen()
export const peer = await endpoint.connect(target.endpointInfo())

/** A region to read into, which has the dtype and shape of the peer's `weights`. */
export const scratch = endpoint.alloc('scratch', { dtype: 'bfloat16', shape: [4096, 4096] })

/** What onnxruntime-node is and makes, which is not installed here: examples with these are compiled only. */
export const ort = /** @type {any} */ (undefined)
export const session = /** @type {any} */ (undefined)

export const secrets = { trainer: 'the secret of trainers, 32 bytes', viewer: 'the secret of viewers, 32 bytes.' }
