import type { DType } from '../../../index.js'

/** Bits of an element, and what memlane calls it, where it has it. */
const DTYPES: Readonly<Record<string, readonly [bits: number, ours?: DType]>> = {
  F64: [64, 'float64'],
  F32: [32, 'float32'],
  F16: [16, 'float16'],
  BF16: [16, 'bfloat16'],
  I64: [64, 'int64'],
  I32: [32, 'int32'],
  I16: [16, 'int16'],
  I8: [8, 'int8'],
  U64: [64, 'uint64'],
  U32: [32, 'uint32'],
  U16: [16, 'uint16'],
  U8: [8, 'uint8'],
  BOOL: [8, 'bool'],
  F8_E4M3: [8, 'float8_e4m3fn'],
  F8_E5M2: [8, 'float8_e5m2'],
  F8_E8M0: [8, 'float8_e8m0fnu'],
  F8_E4M3FNUZ: [8, 'float8_e4m3fnuz'],
  F8_E5M2FNUZ: [8, 'float8_e5m2fnuz'],
  F6_E2M3: [6],
  F6_E3M2: [6],
  F4: [4],
  C64: [64, 'complex64'],
}

const row = (dtype: string) => (Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined)

/** memlane's name of a type of safetensors'. */
export function oursOf(dtype: string): DType | undefined {
  return row(dtype)?.[1]
}

/** What a file calls memlane's type; one that is not known is bytes. */
export function dtypeOf(ours: string | undefined): string | undefined {
  return Object.keys(DTYPES).find((dtype) => DTYPES[dtype]?.[1] === ours && ours !== undefined)
}

/** Bits of an element; nothing where the type is not known. */
export function bitsOf(dtype: string): number | undefined {
  return row(dtype)?.[0]
}

/** Bytes of a tensor; `NaN` for what is no whole number of them or too many, nothing where the type is not known. */
export function bytesOfTensor(dtype: string, shape: readonly number[]): number | undefined {
  const bits = bitsOf(dtype)
  if (bits === undefined) return undefined
  if (shape.includes(0)) return 0
  const elements = shape.reduce((product, extent) => product * extent, 1)
  const bytes = bits < 8 ? (elements * bits) / 8 : elements * (bits / 8)
  return Number.isSafeInteger(elements) && Number.isSafeInteger(bytes) ? bytes : Number.NaN
}
