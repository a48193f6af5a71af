/** When an operation of a contender counts as complete: as the row says, unless the contender cannot do that. */
export function completionOf(row, contender) {
  return contender.completion ?? row.completion
}
