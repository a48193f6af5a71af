import type { EndpointInfo } from '../../../index.js'

/** Tags of the one question by message and its answer. */
export const REQUEST = 1
export const REPLY = 2

/** What `serve` is told. */
export interface Wish {
  /** The file to publish; made-up bytes without. */
  file: string | undefined
  /** Turns over one bit behind the back of the hash. */
  tamper: boolean
}

/** What `serve` answers. */
export interface Offer {
  file: string | null
  bytes: number
  info: EndpointInfo
  netPort: number
}
