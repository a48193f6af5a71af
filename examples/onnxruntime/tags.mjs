/** What messages between the two processes mean. */
export const HELLO = 1
export const RUN = 2
export const DONE = 3
export const BYE = 4
