import type { Command, Options } from './command.js'
import { COMMON } from './parse.js'
import { wrapped } from './wrap.js'

/** What every terminal has. */
const COLUMNS = 80
const GAP = 2
/** An option that is longer has a line of its own. */
const MOST_LEFT = 26

function table(rows: readonly (readonly [string, string])[]): string {
  const lengths = rows.map(([left]) => left.length).filter((length) => length <= MOST_LEFT)
  const indent = 2 + Math.max(...lengths) + GAP
  return rows
    .flatMap(([left, right]) => {
      const [first = '', ...rest] = wrapped(right, COLUMNS - indent)
      const further = rest.map((line) => ' '.repeat(indent) + line)
      if (left.length > MOST_LEFT) return [`  ${left}`, ' '.repeat(indent) + first, ...further]
      return [`  ${left}`.padEnd(indent) + first, ...further]
    })
    .join('\n')
}

function optionRows(options: Options): [string, string][] {
  return Object.entries(options).map(([name, { short, value, help, default: fallback }]) => {
    const left = `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
    return [left, typeof fallback === 'string' && fallback !== '' ? `${help} (${fallback})` : help]
  })
}

const paragraph = (text: string): string => wrapped(text.replaceAll('\n', ' '), COLUMNS).join('\n')

/** What `memlane COMMAND --help` prints. */
export function commandHelp({ name, summary, usage, options, examples, notes }: Command): string {
  const parts = [
    paragraph(`${summary}.`),
    `  memlane ${name} ${usage}`,
    table(optionRows({ ...options, ...COMMON })),
    ...(notes ?? []).map(paragraph),
    `${examples.length === 1 ? 'Example' : 'Examples'}:\n${examples.map((line) => `  npx ${line}`).join('\n')}`,
  ]
  return `${parts.join('\n\n')}\n`
}

/** What `memlane --help` prints. */
export function mainHelp(commands: readonly (readonly [string, string])[]): string {
  const parts = [
    paragraph("memlane: one process reads and writes another's memory over TCP, while the other's JavaScript does not run."),
    '  memlane COMMAND [options]',
    table(commands),
    table([
      ['memlane COMMAND --help', 'its options, and an example'],
      ['memlane --version', 'the version'],
    ]),
    paragraph('Exit status: 0 done, 1 failed, 2 a command line that makes no sense, 3 the peer was not reached, 4 other bytes than there should be, 130 or 143 interrupted.'),
  ]
  return `${parts.join('\n\n')}\n`
}
