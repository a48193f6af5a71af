import { integer, rangeError, typeError, valueError } from './arguments.js'
import { MemlaneError } from './errors.js'

/** Numbers of 16 bits as `Float16Array` has them, where the runtime has one: Node 24 and newer. */
export interface HalfArray extends ArrayBufferView, ArrayLike<number> {}

/** What holds the elements of each type. Where JavaScript has no array for a type, its bits are in an unsigned one. */
export interface TensorArrays {
  /** Numbers of 64 bits. */
  float64: Float64Array
  /** Numbers of 32 bits. */
  float32: Float32Array
  /** `Float16Array` where the runtime has it, else its bits. */
  float16: Uint16Array | HalfArray
  /** The upper halves of the bits of float32. */
  bfloat16: Uint16Array
  /** Signed, 64 bits. */
  int64: BigInt64Array
  /** Signed, 32 bits. */
  int32: Int32Array
  /** Signed, 16 bits. */
  int16: Int16Array
  /** Signed, 8 bits. */
  int8: Int8Array
  /** Unsigned, 64 bits. */
  uint64: BigUint64Array
  /** Unsigned, 32 bits. */
  uint32: Uint32Array
  /** Unsigned, 16 bits. */
  uint16: Uint16Array
  /** Unsigned, 8 bits. */
  uint8: Uint8Array
  /** 0 or 1 each. */
  bool: Uint8Array
  /** The bits, 4 of exponent and 3 of mantissa; no infinities. */
  float8_e4m3fn: Uint8Array
  /** The bits, 5 of exponent and 2 of mantissa. */
  float8_e5m2: Uint8Array
}

/** The type of a tensor's elements, by the name that ONNX Runtime and NumPy use. */
export type DType = keyof TensorArrays

/** Elements in an array, of whatever type. */
export type TensorData = TensorArrays[DType]

/** A tensor in memory: `dtype` says which array `data` is, `shape` how its elements lie, the last dimension closest. */
export type Tensor = { [D in DType]: TensorOf<D> }[DType]

/** A tensor of one element type. */
export interface TensorOf<D extends DType> {
  /** The type of its elements. */
  dtype: D
  /** Elements by dimension; none for a single number. */
  shape: readonly number[]
  /** The elements, row by row. */
  data: TensorArrays[D]
}

type ArrayOf = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => TensorData & ArrayBufferView

const Half = ((globalThis as { Float16Array?: unknown }).Float16Array ?? Uint16Array) as ArrayOf

/** Bytes per element, and the array that holds them. */
const TYPES: Readonly<Record<DType, readonly [number, ArrayOf]>> = {
  float64: [8, Float64Array],
  float32: [4, Float32Array],
  float16: [2, Half],
  bfloat16: [2, Uint16Array],
  int64: [8, BigInt64Array],
  int32: [4, Int32Array],
  int16: [2, Int16Array],
  int8: [1, Int8Array],
  uint64: [8, BigUint64Array],
  uint32: [4, Uint32Array],
  uint16: [2, Uint16Array],
  uint8: [1, Uint8Array],
  bool: [1, Uint8Array],
  float8_e4m3fn: [1, Uint8Array],
  float8_e5m2: [1, Uint8Array],
}

/** Every {@link DType}. */
export const DTYPES = Object.keys(TYPES) as readonly DType[]

/** Most dimensions of a tensor; NumPy and ONNX Runtime stop there or before. */
const MAX_DIMENSIONS = 32

/** What is known of a region's elements. */
export interface TensorKind {
  dtype: DType
  shape: readonly number[]
}

/** Whether this version knows the type. Not by `in`: `constructor` is none. */
export function isDType(value: unknown): value is DType {
  return (DTYPES as readonly unknown[]).includes(value)
}

/** `float32 [2, 3]`, for messages. */
export function tensorText({ dtype, shape }: { dtype: string; shape: readonly number[] }): string {
  return `${dtype.slice(0, 40)} [${shape.join(', ')}]`
}

function checkShape(value: unknown, what: string): readonly number[] {
  if (!Array.isArray(value)) throw typeError(what, 'an array of integers', value)
  if (value.length > MAX_DIMENSIONS) throw rangeError(`${what} has ${value.length} dimensions, at most ${MAX_DIMENSIONS} are possible`)
  return Object.freeze(value.map((extent, index) => integer(extent, `${what}[${index}]`)))
}

/** Bytes that elements of `size` bytes in that shape have. */
function bytesOfShape(size: number, shape: readonly number[], what: string): number {
  // A 0 first: what it makes nothing may be too large without it.
  const bytes = shape.includes(0) ? 0 : shape.reduce((product, extent) => product * extent, size)
  if (!Number.isSafeInteger(bytes)) {
    throw rangeError(`${what} [${shape.join(', ')}] has more than ${Number.MAX_SAFE_INTEGER} bytes`)
  }
  return bytes
}

/** Bytes of a tensor, without a look at its data. */
export function tensorBytes({ dtype, shape }: Tensor): number {
  return bytesOfShape(TYPES[dtype][0], shape, 'shape')
}

/** Checks a region's type and shape; with the bytes that they make. */
export function checkTensor(dtype: unknown, shape: unknown): TensorKind & { length: number } {
  if (typeof dtype !== 'string') throw typeError('dtype', 'a string', dtype)
  if (!isDType(dtype)) throw valueError(`dtype must be one of ${DTYPES.join(', ')}; got ${JSON.stringify(dtype.slice(0, 40))}`)
  const checked = checkShape(shape, 'shape')
  const length = bytesOfShape(TYPES[dtype][0], checked, 'shape')
  if (length === 0) throw rangeError(`shape [${checked.join(', ')}] has no element, and a region has at least one byte`)
  return { dtype, shape: checked, length }
}

/**
 * What an endpoint info says of a region of `length` bytes; nothing when it says nothing. A type that this version does not
 * know is let be, because a newer peer's other regions are still of use.
 */
export function describedTensor(
  entry: Record<string, unknown>,
  length: number,
  what: string
): { dtype: string; shape: readonly number[] } | undefined {
  const { dtype } = entry
  if (dtype === undefined && entry.shape === undefined) return undefined
  if (typeof dtype !== 'string') throw typeError(`${what}.dtype`, 'a string', dtype)
  const shape = checkShape(entry.shape, `${what}.shape`)
  if (isDType(dtype) && bytesOfShape(TYPES[dtype][0], shape, `${what}.shape`) !== length) {
    throw valueError(`${what} is ${tensorText({ dtype, shape })} and has ${length} bytes, which differ`)
  }
  return { dtype, shape }
}

/** The error of a region that is no tensor, or not the one that is wanted. */
export function tensorError(message: string): MemlaneError {
  return new MemlaneError(message, { code: 'ERR_TENSOR', origin: 'local', retryable: false })
}

/** The elements that lie in `bytes` bytes of a buffer. */
export function elementsOf(dtype: DType, buffer: ArrayBufferLike, byteOffset: number, bytes: number): TensorData {
  const [size, Elements] = TYPES[dtype]
  return new Elements(buffer, byteOffset, bytes / size)
}

/** Whether an array can hold elements of that type: its own, or the one that has the bits. */
export function holds(dtype: DType, array: ArrayBufferView): boolean {
  const [, Elements] = TYPES[dtype]
  const name = Object.prototype.toString.call(array).slice(8, -1)
  return name === Elements.name || (dtype === 'float16' && name === 'Uint16Array')
}
