import { bytesOf, checkKeys, checkName, trueLength, typeError, valueError, type Integer } from './arguments.js'
import { allocate } from './alloc.js'
import { MemlaneError } from './errors.js'
import type { Lifetime } from './lifetime.js'
import type { PublishOptions } from './options.js'
import { MemoryRegion } from './region.js'
import { checkRights } from './rights.js'
import { checkDType, checkTensor, classOf, dtypeOf, elementSize, holds, tensorText, type DType, type TensorData, type TensorKind } from './tensor.js'

/** An array of numbers: its class says of which type, a Node `Buffer` and a `Uint8ClampedArray` are of `uint8`. */
export type ElementArray = TensorData | Uint8ClampedArray

/** A tensor of ONNX Runtime, or of anything that looks like one. */
export interface OrtTensor {
  /** The type of its elements, by ONNX Runtime's name. */
  readonly type: string
  /** The elements, row by row. Texts are refused. */
  readonly data: ElementArray | readonly string[]
  /** Elements by dimension. */
  readonly dims: readonly number[]
  /** Where the elements are. Only those in memory of the processor can be published: `'cpu'`, or not said. */
  readonly location?: string | undefined
}

/** Elements, and what they are where their array does not say. What {@link Peer.readTensor} resolves with is one. */
export interface TensorSource {
  /** The elements, row by row. */
  data: ElementArray
  /** Elements by dimension. Default: one dimension, as long as `data`. */
  shape?: readonly Integer[] | undefined
  /** The same as `shape`, by ONNX Runtime's name. */
  dims?: readonly Integer[] | undefined
  /** The type of the elements. Needed where `data` has their bits only: `bfloat16`, `bool`. Default: what the class of `data` says. */
  dtype?: DType | undefined
}

/** What `endpoint.publish` takes. */
export type Publishable = ElementArray | OrtTensor | TensorSource

const WANTED = 'a typed array, a tensor of ONNX Runtime, or { data, shape, dtype }'

/** Where ONNX Runtime keeps elements that this process can see. */
const SEEN = [undefined, 'cpu', 'cpu-pinned']

interface Source {
  data: unknown
  dtype: unknown
  shape: unknown
}

function isArray(value: unknown): value is ElementArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
}

/** One of two names for the same thing. */
function either(value: Record<string, unknown>, first: string, second: string): unknown {
  if (value[first] !== undefined && value[second] !== undefined) {
    throw valueError(`${first} and ${second} are the same: give one of them`)
  }
  return value[first] ?? value[second]
}

function sourceOf(value: unknown): Source {
  if (isArray(value)) return { data: value, dtype: undefined, shape: undefined }
  if (value instanceof MemoryRegion) {
    throw valueError(`the region ${JSON.stringify(value.name)} needs no copy: its access says whether peers can read it`)
  }
  if (typeof value !== 'object' || value === null || !('data' in value)) throw typeError('tensor', WANTED, value)
  const given = value as Record<string, unknown>
  // Somebody's class has whatever properties it has; in an object of the caller's another name is a slip.
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) checkKeys(given, ['data', 'shape', 'dims', 'dtype', 'type', 'location'])
  // Before `data`: ONNX Runtime's throws where there is none.
  const { location } = given
  if (location === 'none') throw valueError('the tensor was disposed of: it has no data any more')
  if (!SEEN.includes(location as string | undefined)) {
    throw valueError(
      `the tensor's data is not in memory of this process, its location is ${JSON.stringify(location)}: fetch it first, ` +
        'publish(name, { data: await tensor.getData(), dims: tensor.dims, type: tensor.type })'
    )
  }
  return { dtype: either(given, 'dtype', 'type'), shape: either(given, 'shape', 'dims'), data: given.data }
}

function checkedType(dtype: unknown, data: ElementArray): DType {
  if (dtype === undefined) {
    const known = dtypeOf(data)
    if (known === undefined) throw typeError('data', 'a typed array of numbers', data)
    return known
  }
  const type = checkDType(dtype)
  if (!holds(type, data)) throw valueError(`data is ${classOf(data)}, which has no elements of ${type}`)
  return type
}

/** The tensor that `value` is, and its bytes, not copied. */
function checkedTensor(value: unknown): { tensor: TensorKind & { length: number }; bytes: Uint8Array } {
  const { data, dtype, shape } = sourceOf(value)
  if (dtype === 'string') throw valueError('a tensor of strings has elements of no fixed length: publish their UTF-8 as uint8')
  if (dtype === 'int4' || dtype === 'uint4') throw valueError(`the elements of ${dtype} have less than a byte: publish the bytes as uint8`)
  if (!isArray(data)) throw typeError('data', 'a typed array', data)
  const type = checkedType(dtype, data)
  const given = shape === undefined || shape === null ? undefined : checkTensor(type, shape)
  // Last: reading anything of the caller's may run code that takes the bytes away.
  const bytes = bytesOf(data, 'data')
  const length = trueLength(bytes)
  const tensor = given ?? checkTensor(type, [Math.floor(length / elementSize(type))])
  if (tensor.length !== length) {
    throw valueError(
      `data is ${classOf(data)} [${data.length}], ${length} bytes; the tensor is ${tensorText(tensor)}, ${tensor.length} bytes`
    )
  }
  return { tensor, bytes }
}

/** `endpoint.publish`. `tokens` are the endpoint's, by name. */
export function publish(
  endpoint: Lifetime,
  tokens: readonly string[],
  name: string,
  value: Publishable,
  options?: PublishOptions
): MemoryRegion {
  checkName(name)
  checkKeys(options, ['access', 'allow'])
  const rights = checkRights(options, 'read', tokens)
  const { tensor, bytes } = checkedTensor(value)
  try {
    return allocate(endpoint, name, tensor.length, rights, tensor, bytes)
  } catch (error) {
    if (!(error instanceof MemlaneError) || error.code !== 'ERR_REGION_EXISTS') throw error
    const { code, origin, retryable, message } = error
    const advice = 'to replace it, close it first; to change what it holds, store into its typed()'
    throw new MemlaneError(`${message}: ${advice}`, { code, origin, retryable })
  }
}
