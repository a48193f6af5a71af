import { parseArgs } from 'node:util'

import { ResultsError } from './results.mjs'

/** Runs `body(options, files)`. What the user can mend is one line on stderr and exit status 1. */
export function command(name, help, options, body) {
  try {
    const { values, positionals } = parseArgs({ options: { ...options, help: { type: 'boolean', default: false } }, allowPositionals: true })
    if (values.help) process.stdout.write(help)
    else body(values, positionals)
  } catch (error) {
    const theirs = error instanceof ResultsError || error.code?.startsWith('ERR_PARSE_ARGS') || error.syscall !== undefined
    if (!theirs) throw error
    console.error(`${name}: ${error.message.split('\n')[0]}`)
    process.exitCode = 1
  }
}
