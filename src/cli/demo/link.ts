/** The target's model as one transport reaches it. */
export interface Link {
  /** Where the bytes arrive, at the offsets that they have there. */
  memory: Uint8Array
  read(offset: number, length: number): PromiseLike<unknown>
  close(): Promise<void>
}

/** What the target's end of a transport is told of. */
export interface Served {
  close(): Promise<void>
}
