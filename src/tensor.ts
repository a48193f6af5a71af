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
  /** The bits, 4 of exponent and 3 of mantissa; neither infinities nor a negative zero. */
  float8_e4m3fnuz: Uint8Array
  /** The bits, 5 of exponent and 2 of mantissa; neither infinities nor a negative zero. */
  float8_e5m2fnuz: Uint8Array
  /** The bits, 8 of exponent and none else: powers of two, as scales are. */
  float8_e8m0fnu: Uint8Array
  /** Two float32 each, the real part first: the array is twice as long as the tensor has elements. */
  complex64: Float32Array
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

/** What the elements of an array can be by its class: `float16` has one of any numbers only as long as TypeScript does not know its own. */
type DTypeIn<A, D extends DType> = D extends 'float16'
  ? A extends TensorArrays[Exclude<DType, 'float16' | 'bfloat16' | 'uint16'>] | Uint8ClampedArray
    ? never
    : D
  : A extends TensorArrays[D]
    ? D
    : A extends Uint8ClampedArray
      ? TensorArrays[D] extends Uint8Array
        ? D
        : never
      : never

/** A tensor whose elements are in an array of the caller's. */
export interface TensorIn<A> {
  /** The type of its elements: one that such an array can hold. */
  dtype: { [D in DType]: DTypeIn<A, D> }[DType]
  /** Elements by dimension; none for a single number. */
  shape: readonly number[]
  /** The array. */
  data: A
}

/** A tensor of one of several element types. */
export type TensorOfAny<D extends DType> = { [E in D]: TensorOf<E> }[D]

type ArrayOf = (new (buffer: ArrayBufferLike, byteOffset: number, length: number) => TensorData & ArrayBufferView) & {
  readonly BYTES_PER_ELEMENT: number
}

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
  float8_e4m3fnuz: [1, Uint8Array],
  float8_e5m2fnuz: [1, Uint8Array],
  float8_e8m0fnu: [1, Uint8Array],
  complex64: [8, Float32Array],
}

/** The type that an array says by its class. */
const BY_CLASS: Readonly<Record<string, DType>> = {
  Float64Array: 'float64',
  Float32Array: 'float32',
  Float16Array: 'float16',
  BigInt64Array: 'int64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  BigUint64Array: 'uint64',
  Uint32Array: 'uint32',
  Uint16Array: 'uint16',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
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
  const length = Number(value.length)
  if (length > MAX_DIMENSIONS) throw rangeError(`${what} has ${length} dimensions, at most ${MAX_DIMENSIONS} are possible`)
  // By index: its own iterator may give more than its length says, and its map leaves holes out.
  const shape: number[] = []
  while (shape.length < length) shape.push(integer(value[shape.length], `${what}[${shape.length}]`))
  return Object.freeze(shape)
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

/** Checks the name of a type. */
export function checkDType(dtype: unknown): DType {
  if (typeof dtype !== 'string') throw typeError('dtype', 'a string', dtype)
  if (!isDType(dtype)) throw valueError(`dtype must be one of ${DTYPES.join(', ')}; got ${JSON.stringify(dtype.slice(0, 40))}`)
  return dtype
}

/** Checks a region's type and shape; with the bytes that they make. */
export function checkTensor(dtype: unknown, shape: unknown): TensorKind & { length: number } {
  const type = checkDType(dtype)
  const checked = checkShape(shape, 'shape')
  const length = bytesOfShape(TYPES[type][0], checked, 'shape')
  if (length === 0) throw rangeError(`shape [${checked.join(', ')}] has no element, and a region has at least one byte`)
  return { dtype: type, shape: checked, length }
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

/** Rows along the first axis, without the last one. */
export type Rows = readonly [from: number, to: number]

/** Checks the option `rows`, as far as that goes without the tensor. */
export function checkRows(value: unknown): Rows {
  if (!Array.isArray(value) || value.length !== 2) throw typeError('rows', 'an array of two integers, [from, to]', value)
  const from = integer(value[0], 'rows[0]')
  const to = integer(value[1], 'rows[1]')
  if (to < from) throw rangeError(`rows [${from}, ${to}] end before they begin`)
  return [from, to]
}

/** These rows of a tensor: what they are, and where their bytes lie in it. `what` is the tensor. */
export function sliceOf(
  { dtype, shape }: TensorKind,
  [from, to]: Rows,
  what: string
): { kind: TensorKind; offset: number; length: number } {
  const [extent, ...rest] = shape
  if (extent === undefined) throw tensorError(`${what} is ${tensorText({ dtype, shape })}, a single element, which has no rows`)
  if (to > extent) throw rangeError(`rows [${from}, ${to}] leave ${what}, which is ${tensorText({ dtype, shape })}`)
  const rowBytes = bytesOfShape(TYPES[dtype][0], rest, 'shape')
  return { kind: { dtype, shape: [to - from, ...rest] }, offset: from * rowBytes, length: (to - from) * rowBytes }
}

/** The error of a region that is no tensor, or not the one that is wanted. */
export function tensorError(message: string): MemlaneError {
  return new MemlaneError(message, { code: 'ERR_TENSOR', origin: 'local', retryable: false })
}

/** Bytes of one element. */
export function elementSize(dtype: DType): number {
  return TYPES[dtype][0]
}

/** The elements that lie in `bytes` bytes of a buffer. */
export function elementsOf(dtype: DType, buffer: ArrayBufferLike, byteOffset: number, bytes: number): TensorData {
  const [, Elements] = TYPES[dtype]
  return new Elements(buffer, byteOffset, bytes / Elements.BYTES_PER_ELEMENT)
}

/** The class of an array, by its own account: other realms have classes of the same names, and a `Buffer` is a `Uint8Array`. */
export function classOf(array: object): string {
  return Object.prototype.toString.call(array).slice(8, -1)
}

/** The type of an array's elements, as its class says. */
export function dtypeOf(array: ArrayBufferView): DType | undefined {
  const name = classOf(array)
  return Object.hasOwn(BY_CLASS, name) ? BY_CLASS[name] : undefined
}

/** Whether an array can hold elements of that type: its own, or the one that has the bits. */
export function holds(dtype: DType, array: ArrayBufferView): boolean {
  const [, { name: wanted }] = TYPES[dtype]
  const name = classOf(array)
  return name === wanted || (dtype === 'float16' && name === 'Uint16Array') || (wanted === 'Uint8Array' && name === 'Uint8ClampedArray')
}
