/** A test that is cut short must not leave its children behind: they end when the channel to it does. */
export function endWithParent(): void {
  process.once('disconnect', () => process.exit(9))
  // What waits for that must not be what keeps the process.
  process.channel?.unref()
}
