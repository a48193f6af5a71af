/** Imported for its effect: what a program fails with is one line and status 1; `--debug` among its arguments shows the stack. */
import { basename } from 'node:path'

const at = process.argv.indexOf('--debug')
if (at !== -1) process.argv.splice(at, 1)

process.on('uncaughtException', (error) => {
  console.error(`${basename(process.argv[1]).replace(/\.\w+$/, '')}: ${at === -1 ? error.message : error.stack}`)
  process.exit(1)
})
