import { basename } from 'node:path'

/** From here on, what the program fails with is one line and status 1; `--debug` among its arguments shows the stack. */
export function complainInOneLine() {
  const at = process.argv.indexOf('--debug')
  if (at !== -1) process.argv.splice(at, 1)
  process.on('uncaughtException', (error) => {
    console.error(`${basename(process.argv[1]).replace(/\.\w+$/, '')}: ${at === -1 ? error.message : error.stack}`)
    process.exit(1)
  })
}
