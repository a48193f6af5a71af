/** Tags of messages beside the slots' numbers: prefill's endpoint info, so that decode can answer it; and its end. */
export const HELLO = 2 ** 32
export const BYE = HELLO + 1

/** A slot's entry: the number of its sequence, and when its first byte left. */
export const ENTRY_WORDS = 2

/** Blocks of the pool that no slot has, to see that they are left alone. */
export const SPARE_BLOCKS = 16
