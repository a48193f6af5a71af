/** The second process: recognises what is on the crops that it is handed, by the transport that its command line names. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

import { loadRecogniser } from './recognise.mjs'

const [, , transport, threads] = process.argv
const { receiver } = await import(transport)
const recognise = await loadRecogniser(Number(threads))
const delay = monitorEventLoopDelay({ resolution: 1 })

/** Milliseconds on the clock that all processes of a machine share. */
const now = () => Number(process.hrtime.bigint()) / 1e6

delay.enable()
for await (const { crops, answer } of receiver()) {
  const started = now()
  const text = await recognise(crops)
  // The first process closes only when it has every answer, or is gone and wants none.
  answer({ text, started, ended: now(), late: delay.max / 1e6 }).catch(() => {})
}
delay.disable()
