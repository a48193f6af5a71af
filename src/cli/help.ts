import type { Command, Options } from './command.js'
import { COMMON } from './parse.js'

const GAP = 2

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + GAP
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`).join('\n')
}

function optionRows(options: Options): [string, string][] {
  return Object.entries(options).map(([name, { short, value, help, default: fallback }]) => {
    const left = `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
    return [left, typeof fallback === 'string' && fallback !== '' ? `${help} (${fallback})` : help]
  })
}

/** What `memlane COMMAND --help` prints. */
export function commandHelp({ name, summary, usage, options, examples, notes }: Command): string {
  const parts = [
    `${summary}.`,
    `  memlane ${name} ${usage}`,
    table(optionRows({ ...options, ...COMMON })),
    ...(notes ?? []),
    `${examples.length === 1 ? 'Example' : 'Examples'}:\n${examples.map((line) => `  npx ${line}`).join('\n')}`,
  ]
  return `${parts.join('\n\n')}\n`
}

/** What `memlane --help` prints. */
export function mainHelp(commands: readonly (readonly [string, string])[]): string {
  return `memlane: one process reads and writes another's memory over TCP, while the other's JavaScript does not run.

  memlane COMMAND [options]

${table(commands)}

  memlane COMMAND --help    its options, and an example
  memlane --version         the version

Exit status: 0 done, 1 failed, 2 a command line that makes no sense, 3 the peer was not reached, 4 other bytes than there should
be, 130 or 143 interrupted.
`
}
