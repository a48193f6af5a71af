import { parseArgs } from 'node:util'

/** The options given, or one line on stderr and exit status 2 when they make no sense. */
export function commandLine(program, options) {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    console.error(`${program}: ${error.message.split(/\.?\n|\. /)[0]}; --help lists the options`)
    process.exit(2)
  }
}

/** The number that an option was given, or one line on stderr and exit status 2 when it is none from `least` to `most`. */
export function wholeNumber(program, name, text, least, most) {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  console.error(`${program}: --${name} takes a whole number from ${least} to ${most}, not ${JSON.stringify(text)}; --help lists the options`)
  process.exit(2)
}
