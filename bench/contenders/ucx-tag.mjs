/** UCX's tagged messages by the same program: what its programs use where both sides take part. */
import { startPerftest, setup as install, version as installed } from './ucx.mjs'

export const name = 'UCX tag'

export const setup = install

export const version = installed

export const completion = { write: 'the send is complete: of a large message the receiver, who takes part, has fetched it' }

export const unchecked = true

export const start = (options) => startPerftest(options, { write: 'tag_bw' })
