import type { Command } from './command.js'
import { CliError, EXIT, shownError } from './failure.js'
import { commandHelp, mainHelp } from './help.js'
import { legible } from './locale.js'
import { parse, type Parsed } from './parse.js'
import { harmless, Screen } from './screen.js'
import { version } from './version.js'

/** Loaded when they are asked for: `--help` needs no native binary. */
const COMMANDS: Readonly<Record<string, readonly [summary: string, load: () => Promise<Command>]>> = {
  demo: ['ten seconds, nothing to set up: reads the memory of a busy process, and compares', async () => (await import('./demo/command.js')).demo],
  serve: ['publish files, and the tensors of safetensors files', async () => (await import('./serve/command.js')).serve],
  pull: ['fetch what a peer publishes into files', async () => (await import('./pull/command.js')).pull],
  bench: ['throughput and latency by size, of a target of its own or of any peer', async () => (await import('./bench/command.js')).bench],
  ping: ['is it up, and how long does an answer take', async () => (await import('./ping/command.js')).ping],
  inspect: ['which wire does it speak, and what does it publish', async () => (await import('./inspect/command.js')).inspect],
}

/** What these do is more than what they print. */
const WORKING: readonly string[] = ['serve', 'pull', 'bench']

/** Runs the command line; the exit status is in `process.exitCode`. */
export async function main(args: readonly string[]): Promise<void> {
  const [word, ...rest] = args
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') {
      process.stderr.write(`memlane: standard output: ${shownError(error).message}\n`)
      process.exit(EXIT.failed)
    }
    // Whoever reads the output has seen enough (`| head`): that is no failure, but half of what a command does beside it would be.
    if (!WORKING.includes(word ?? '')) process.exit(0)
  })
  // Nobody is left to be told; the exit status still says how it went.
  process.stderr.on('error', () => {})
  if (word === 'help' && rest[0] !== undefined && !rest[0].startsWith('-')) {
    process.exitCode = await runCommand(rest[0], ['--help'])
  } else if (word === undefined || word === '--help' || word === '-h' || word === 'help') {
    const text = mainHelp(Object.entries(COMMANDS).map(([name, [summary]]) => [name, summary]))
    if (word === undefined) process.stderr.write(text)
    else process.stdout.write(text)
    process.exitCode = word === undefined ? EXIT.usage : 0
  } else if (word === '--version' || word === '-v') {
    process.stdout.write(`${version()}\n`)
  } else {
    process.exitCode = await runCommand(word, rest)
  }
}

async function runCommand(word: string, args: readonly string[]): Promise<number> {
  const wants = (option: string): boolean => args.includes(option)
  const screen = new Screen(wants('--json'))
  const interruption = new Interruption(screen)
  try {
    const command = await load(word)
    const parsed: Parsed = parse(command, args)
    if (parsed.values.help) {
      process.stdout.write(legible(commandHelp(command)))
      return 0
    }
    await command.run({ values: parsed.values, names: parsed.names, screen, signal: interruption.signal })
    return command.goesOn === true ? 0 : (interruption.status ?? 0)
  } catch (error) {
    if (interruption.status !== undefined && isInterruption(error)) return interruption.status
    const { code, message, status } = shownError(error)
    screen.document({ error: { code, message } })
    const hint = status === EXIT.usage && Object.hasOwn(COMMANDS, word) ? `; memlane ${word} --help lists the options` : ''
    screen.note(`memlane ${harmless(word)}: ${harmless(message)}${hint}`)
    if (wants('--debug')) screen.note(error instanceof Error ? withCauses(error) : String(error))
    return interruption.status ?? status
  } finally {
    screen.clear()
    interruption.end()
  }
}

async function load(word: string): Promise<Command> {
  const found = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined
  if (found === undefined) throw new CliError('there is no such command: memlane --help lists them', { code: 'ERR_USAGE', status: EXIT.usage })
  return found[1]()
}

function withCauses(error: Error): string {
  const own = error.stack ?? String(error)
  return error.cause instanceof Error ? `${own}\ncaused by ${withCauses(error.cause)}` : own
}

/** What an operation fails with when the user has ended it. */
function isInterruption(error: unknown): boolean {
  const { code, name } = error as { code?: string; name?: string }
  return code === 'ERR_ABORTED' || code === 'ABORT_ERR' || name === 'AbortError'
}

/** Ctrl-C and SIGTERM: the first asks, the second ends. */
class Interruption {
  status: number | undefined = undefined
  readonly #controller = new AbortController()
  readonly #screen: Screen
  readonly #listeners = (['SIGINT', 'SIGTERM'] as const).map((name) => [name, () => this.#interrupt(EXIT[name])] as const)

  constructor(screen: Screen) {
    this.#screen = screen
    for (const [name, listener] of this.#listeners) process.on(name, listener)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  #interrupt(status: number): void {
    if (this.status !== undefined) {
      this.#screen.clear()
      process.exit(status)
    }
    this.status = status
    this.#controller.abort()
  }

  end(): void {
    for (const [name, listener] of this.#listeners) process.off(name, listener)
  }
}

