const BURST_MS = 300
const GAP_MS = 10

/** What a model run or a large parse does to an event loop: nothing else happens on this thread meanwhile. */
function block(milliseconds: number): number {
  const end = performance.now() + milliseconds
  let state = 1
  while (performance.now() < end) {
    for (let step = 0; step < 1000; step++) state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
  }
  return state
}

/** Blocks in bursts of 300 ms with 10 ms between them, until the function that it returns is called. */
export function startBursts(): () => void {
  let timer = setTimeout(burst, 0)
  function burst(): void {
    block(BURST_MS)
    timer = setTimeout(burst, GAP_MS)
  }
  return () => clearTimeout(timer)
}
