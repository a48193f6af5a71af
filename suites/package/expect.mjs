/** What does not hold is an error; a case that needs what is not here throws `Skipped`. */
export class Skipped extends Error {}

export function expect(holds, problem) {
  if (!holds) throw new Error(problem)
}

export function same(actual, expected, what) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  expect(a === b, `${what} is ${a}, should be ${b}`)
}
