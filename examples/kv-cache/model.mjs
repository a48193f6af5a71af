/** What stands for a model here: keys and values that both processes can compute, so that each block can be checked. */

/** Computes block `block` of the sequence `sequence`. */
export function fill(words, sequence, block) {
  let state = stateOf(sequence, block)
  for (let index = 0; index < words.length; index++) words[index] = state = next(state)
}

/** Whether `words` are block `block` of the sequence `sequence`. */
export function isFilled(words, sequence, block) {
  let state = stateOf(sequence, block)
  for (const word of words) {
    state = next(state)
    if (word !== state) return false
  }
  return true
}

/** The whole numbers below `count`, shuffled: where the free blocks of a pool lie after a while. */
export function shuffled(count) {
  const order = Uint32Array.from({ length: count }, (_, index) => index)
  let state = stateOf(0, count)
  for (let last = count - 1; last > 0; last--) {
    state = next(state)
    const other = state % (last + 1)
    ;[order[last], order[other]] = [order[other], order[last]]
  }
  return order
}

/** Never 0, from which `next` does not get away. */
function stateOf(sequence, block) {
  return (Math.imul(sequence + 1, 0x9e3779b1) ^ Math.imul(block + 1, 0x85ebca6b)) >>> 0 || 1
}

/** Xorshift of 32 bits. */
function next(state) {
  let bits = state
  bits ^= bits << 13
  bits ^= bits >>> 17
  return (bits ^ (bits << 5)) >>> 0
}
