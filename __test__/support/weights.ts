import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { folder } from './files'
import { pattern } from './raw-random'

/** A tensor as a test wants it: its name, what safetensors calls its type, its shape, its bytes. */
export type Row = readonly [name: string, dtype: string, shape: readonly number[], bytes: number]

/** A safetensors file's bytes: a header with anything in it, and what is behind it. */
export function container(header: string | Buffer, data: Uint8Array = Buffer.alloc(0), length = Buffer.byteLength(header)): Buffer {
  const first = Buffer.alloc(8)
  first.writeBigUInt64LE(BigInt(length))
  return Buffer.concat([first, Buffer.from(header as string), data])
}

/** The header of tensors that lie one behind the other. */
export function headerOf(rows: readonly Row[], metadata?: Record<string, string>): string {
  let end = 0
  const entries = rows.map(([name, dtype, shape, bytes]) => `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [end, (end += bytes)] })}`)
  if (metadata !== undefined) entries.unshift(`"__metadata__":${JSON.stringify(metadata)}`)
  return `{${entries.join(',')}}`
}

/** Such a file's bytes; its tensors have bytes that depend on `key`. */
export function weights(rows: readonly Row[], key = 'weights', metadata?: Record<string, string>): Buffer {
  return container(headerOf(rows, metadata), pattern(key, rows.reduce((sum, [, , , bytes]) => sum + bytes, 0)))
}

/** The tensors of such a file, by name. */
export function tensorsIn(bytes: Buffer): { header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>; data: Map<string, Buffer> } {
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__')
  return { header, data: new Map(tensors.map(([name, { data_offsets: [from, to] }]) => [name, bytes.subarray(8 + length + from, 8 + length + to)])) }
}

/** Files in a folder that is gone when the test ends; the folder. */
export function files(t: ExecutionContext, contents: Readonly<Record<string, Uint8Array>>): string {
  const path = folder(t)
  for (const [name, bytes] of Object.entries(contents)) writeFileSync(join(path, name), bytes)
  return path
}
