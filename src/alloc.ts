import { types } from 'node:util'
import { byteCount, checkKeys, checkName, valueError, type Integer } from './arguments.js'
import { attached } from './completions.js'
import { fromFailure } from './errors.js'
import type { Lifetime } from './lifetime.js'
import { native } from './native.js'
import type { AllocOptions, TensorOptions } from './options.js'
import { makeRegion, type MemoryRegion } from './region.js'
import { checkRights, type CheckedRights } from './rights.js'
import { checkTensor, type TensorKind } from './tensor.js'

/** `endpoint.alloc`: so many bytes, or as many as a tensor has. `tokens` are the endpoint's, by name. */
export function alloc(
  endpoint: Lifetime,
  tokens: readonly string[],
  name: string,
  size: Integer | TensorOptions,
  options?: AllocOptions
): MemoryRegion {
  checkName(name)
  if (ArrayBuffer.isView(size) || types.isAnyArrayBuffer(size)) {
    throw valueError(
      'memory of JavaScript cannot be a region: publish(name, array) makes one with a copy of it, alloc(name, length) one whose buffer ' +
        'is to be filled'
    )
  }
  const isTensor = typeof size === 'object' && size !== null && !Array.isArray(size)
  if (isTensor && options !== undefined) throw valueError('the options of a tensor are beside its dtype and shape: leave the third argument out')
  const given = isTensor ? size : options
  checkKeys(given, isTensor ? ['dtype', 'shape', 'access', 'allow'] : ['access', 'allow'])
  const tensor = isTensor ? checkTensor(size.dtype, size.shape) : undefined
  const length = tensor?.length ?? byteCount(size, 'length', 1)
  return allocate(endpoint, name, length, checkRights(given, 'none', tokens), tensor)
}

/** A region of that length, of a tensor where one is given, which has these bytes when peers first see it. */
export function allocate(
  endpoint: Lifetime,
  name: string,
  length: number,
  { access, allow }: CheckedRights,
  tensor: TensorKind | undefined,
  bytes?: Uint8Array
): MemoryRegion {
  const shape = tensor === undefined ? undefined : [...tensor.shape]
  const made = native.alloc(attached(), endpoint.use(), name, length, access, allow, tensor?.dtype, shape, bytes)
  if (made.failure !== undefined) throw fromFailure(made.failure)
  return makeRegion(made.handle, endpoint, name, made.address, length, access, { tensor, allow })
}
