import { parseArgs } from 'node:util'

/** The options given, or one line on stderr and exit status 2 when they make no sense. */
export function commandLine(program, options) {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    console.error(`${program}: ${error.message.split('. ')[0]}; --help lists the options`)
    process.exit(2)
  }
}
