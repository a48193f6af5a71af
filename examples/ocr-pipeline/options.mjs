/** The command line of main.mjs. */
import { parseArgs } from 'node:util'

/** What `--help` prints. */
export const HELP = `node main.mjs [options]

  --pages N     pages a round (12)
  --rounds N    rounds of each transport, in turns (7)
  --items N     items on each receipt: two pieces of text more for the second process (1)
  --vary        from none to twice as many items, in turns
  --threads N   threads of each model (1)
  --memlane     memlane alone, nothing to compare with
  --json        one JSON document and nothing else
  --help        this text

Exit status: 0 when every text came back right, else 1.
`

/** The options, checked; an Error whose message is for whoever typed them. */
export function commandLine() {
  const number = (value) => ({ type: 'string', default: String(value) })
  const { values } = parseArgs({
    options: {
      pages: number(12),
      rounds: number(7),
      items: number(1),
      threads: number(1),
      vary: { type: 'boolean', default: false },
      memlane: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const most = { pages: 10_000, rounds: 1000, items: values.vary ? 6 : 12, threads: 64 }
  for (const [name, limit] of Object.entries(most)) {
    const value = Number(values[name])
    const option = name === 'items' && values.vary ? '--items with --vary' : `--${name}`
    if (!Number.isInteger(value) || value < 1 || value > limit) throw new Error(`${option} takes a whole number from 1 to ${limit}`)
    values[name] = value
  }
  return values
}
