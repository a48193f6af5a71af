/** What a model run or a large parse does to an event loop: nothing else happens on this thread for `milliseconds`. */
export function block(milliseconds) {
  const end = performance.now() + milliseconds
  let state = 1
  while (performance.now() < end) {
    for (let step = 0; step < 1000; step++) state = (Math.imul(state, 1664525) + 1013904223) | 0
  }
  return state
}

export const BURST_MS = 300
export const GAP_MS = 10

/** Blocks in bursts of 300 ms with 10 ms between them, until the function that it returns is called. */
export function startBursts() {
  let timer = setTimeout(burst, 0)
  function burst() {
    block(BURST_MS)
    timer = setTimeout(burst, GAP_MS)
  }
  return () => clearTimeout(timer)
}
