import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 1

/**
 * Begins to watch this process's event loop; the function that it returns ends that with the 99th percentile, in
 * milliseconds, of how late a timer came. The monitor counts its own interval in, which is taken off here.
 */
export function delayMeter() {
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  monitor.enable()
  return () => {
    monitor.disable()
    return Math.max(0, monitor.percentile(99) / 1e6 - RESOLUTION_MS)
  }
}
