import type { FileHandle } from 'node:fs/promises'
import { headerLength, parseHeader, type Header } from './header.js'

/** A file's header, and nothing else of it. */
export interface HeaderOfFile extends Header {
  /** Where its tensors begin. */
  dataOffset: number
}

/** Reads the header of a file of `fileBytes` bytes; `label` is its name in messages. */
export async function readHeader(file: FileHandle, fileBytes: number, label: string): Promise<HeaderOfFile> {
  const length = headerLength(await readAt(file, 0, Math.min(8, fileBytes)), fileBytes, label)
  const bytes = await readAt(file, 8, length)
  return { ...parseHeader(bytes, fileBytes - 8 - length, label), dataOffset: 8 + length }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return bytes.subarray(0, done)
}
