const PATIENCE_MS = 10_000

/** Waits until something holds that nobody announces. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`it does not come to hold: ${holds}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
