/** What the tests of the examples share. A test says what it saw in lines, ends with status 0 or 1, or with the line `skipped: why`. */
import { execFile } from 'node:child_process'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

const PATIENCE_MS = 60_000

/** Runs the program at `url` to its end, which has to be a good one, and gives what it printed. */
export async function output(url, ...args) {
  const { code, stdout, stderr } = await end(url, args)
  if (code !== 0) throw new Error(`${basename(url.pathname)} ${args.join(' ')} ended with ${code}\n${stdout}${stderr}`)
  return stdout
}

/** Runs the program at `url`, which has to fail, and gives `{ code, stdout, stderr }`. */
export async function failure(url, ...args) {
  const failed = await end(url, args)
  if (failed.code === 0) throw new Error(`${basename(url.pathname)} ${args.join(' ')} did not fail\n${failed.stdout}`)
  return failed
}

function end(url, args) {
  return new Promise((resolve) => {
    execFile(process.execPath, [fileURLToPath(url), ...args.map(String)], { timeout: PATIENCE_MS }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), stdout, stderr })
    })
  })
}

/** Ends a test that cannot be run on this machine: as skipped, or as failed where the environment says that it has to run. */
export function skip(why, variable) {
  const required = process.env[variable] === 'required'
  console.log(`${required ? 'failed' : 'skipped'}: ${why}`)
  process.exit(required ? 1 : 0)
}
