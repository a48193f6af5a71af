/** The programs of this package. */
import { SetupError, run, say } from '../../scripts/build.mjs'

/** Builds a program and returns its path. */
export function build(name) {
  say(`compiling the ${name} of bench/micro (a minute or two the first time)`)
  const args = ['bench', '--quiet', '--package', 'memlane-micro', '--features', name, '--bench', name, '--no-run']
  const messages = run('cargo', [...args, '--message-format', 'json-render-diagnostics'], { doing: `compiling bench/micro` })
  const artifacts = messages.split('\n').filter(Boolean).map((line) => JSON.parse(line))
  const program = artifacts.find(({ target, executable }) => executable && target.name === name)
  if (program === undefined) throw new SetupError(`cargo did not say where it put the ${name} of bench/micro`)
  return program.executable
}
