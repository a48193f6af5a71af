import { types } from 'node:util'
import { byteCount, checkKeys, checkName, shown, valueError, type Integer } from './arguments.js'
import { attached } from './completions.js'
import { fromFailure } from './errors.js'
import { ACCESS } from './info.js'
import type { Lifetime } from './lifetime.js'
import { native } from './native.js'
import type { Access, AllocOptions, TensorOptions } from './options.js'
import { makeRegion, type MemoryRegion } from './region.js'
import { checkTensor } from './tensor.js'

/** What a region's peers may do; `none` where nobody said. */
export function checkAccess(value: Access | undefined, otherwise: Access): Access {
  const access = value ?? otherwise
  if (!ACCESS.includes(access)) throw valueError(`access must be one of ${ACCESS.join(', ')}; got ${shown(access)}`)
  return access
}

/** `endpoint.alloc`: so many bytes, or as many as a tensor has. */
export function alloc(
  endpoint: Lifetime,
  name: string,
  size: Integer | TensorOptions,
  options?: AllocOptions
): MemoryRegion {
  checkName(name)
  if (ArrayBuffer.isView(size) || types.isAnyArrayBuffer(size)) {
    throw valueError('memory of JavaScript cannot be a region: alloc(name, length) makes one, and its buffer takes a copy of the bytes')
  }
  const isTensor = typeof size === 'object' && size !== null && !Array.isArray(size)
  if (isTensor && options !== undefined) throw valueError('the options of a tensor are beside its dtype and shape: leave the third argument out')
  const given = isTensor ? size : options
  checkKeys(given, isTensor ? ['dtype', 'shape', 'access'] : ['access'])
  const tensor = isTensor ? checkTensor(size.dtype, size.shape) : undefined
  const length = tensor?.length ?? byteCount(size, 'length', 1)
  const access = checkAccess(given?.access, 'none')
  const shape = tensor === undefined ? undefined : [...tensor.shape]
  const made = native.alloc(attached(), endpoint.use(), name, length, access, tensor?.dtype, shape)
  if (made.failure !== undefined) throw fromFailure(made.failure)
  return makeRegion(made.handle, endpoint, name, made.address, length, access, { tensor })
}
