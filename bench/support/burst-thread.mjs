/** A thread that computes in bursts from its start until it is terminated, beside an event loop that does the same. */
import { startBursts } from './burst.mjs'

startBursts()
