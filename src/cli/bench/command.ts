import { command } from '../command.js'
import { diallerOptions, targetOf, timeoutOf } from '../credentials.js'
import { CliError, EXIT } from '../failure.js'
import { isUtf8 } from '../locale.js'
import { OPTIONS, planOf } from './plan.js'
import { report } from './picture/report.js'
import { page } from './page/page.js'
import { countText, sizeName, type Result } from './result.js'
import { Session } from './session.js'
import { sizeText } from '../units.js'
import { checkWritable, writeWhole } from '../whole-file.js'

/** Failures that mean that the peer has gone. */
const GONE = ['ERR_PEER_CLOSED', 'ERR_CONNECT', 'ERR_TIMEOUT']

export const bench = command({
  name: 'bench',
  summary: 'Measures throughput and latency by size, of a target of its own or of any peer',
  usage: '[options] [tcp://HOST:PORT | INFO.json]',
  names: [0, 1],
  options: OPTIONS,
  examples: [
    'memlane bench',
    'memlane bench --busy --sizes 1M --html busy.html',
    'memlane bench tcp://127.0.0.1:7400 --sizes 4k,1M --depth 16',
  ],
  notes: [
    'Without a peer it starts a target of its own on this machine, checks every byte once, then reads and writes. INFO.json is the endpoint\n' +
      'info of a peer, also of one that speaks the legacy wire (DLSlime).',
    "With --write it writes to the peer's region, over its bytes: it reads them first and writes just those, so that they are as before unless\n" +
      'somebody else changes them meanwhile. A region that may be written and not read is overwritten with zeros.',
  ],
  async run({ values, names: [word], screen, signal }) {
    const plan = planOf(values, word !== undefined)
    const target = word === undefined ? undefined : targetOf(word)
    const files = [
      [values.output, (result: Result) => `${JSON.stringify(result, null, 2)}\n`],
      [values.html, page],
    ] as const
    // What cannot be written is said before minutes are spent on it.
    for (const [file] of files) if (file !== undefined) checkWritable(file)
    const session = await Session.open({
      plan,
      target,
      listen: diallerOptions(values, screen),
      timeoutMs: timeoutOf(values),
      command: commandLine(),
      signal,
    })
    const { result } = session
    let failure: unknown
    try {
      for (const bytes of result.left_out) screen.note(`${sizeName(bytes)} is left out: the region has ${sizeText(result.target.region_bytes)}`)
      if (plan.ops.includes('write') && !session.isReadable) screen.note('warning: the region cannot be read, so that it is overwritten with zeros')
      await session.measure((op, bytes, row, rows, operations) => screen.live(`${op} ${sizeName(bytes)} | row ${row} of ${rows} | ${countText(operations)} operations`))
    } catch (error) {
      failure = error
    } finally {
      await session.close()
    }
    screen.document(result)
    const look = { columns: screen.columns, ascii: values.ascii || !isUtf8(), styled: screen.styled.bind(screen) }
    for (const line of report(result, look, plan.histogram)) screen.line(line)
    for (const [file, content] of files) {
      if (file === undefined || result.rows.length === 0) continue
      writeWhole(file, content(result))
      screen.line(`written: ${file}`)
    }
    if (failure !== undefined && !signal.aborted) throw ended(failure, result)
  },
})

/** The failure that ended a run, in words of the run. */
function ended(error: unknown, { rows }: Result): unknown {
  const { code, message } = error as { code?: string; message: string }
  if (code === undefined || !GONE.includes(code)) return error
  const measured = rows.length === 0 ? 'before anything was measured' : `after ${rows.length === 1 ? 'one row' : `${rows.length} rows`}`
  return new CliError(`the peer is gone, ${measured}: ${message}`, { code, status: EXIT.unreachable, cause: error })
}

/** The command line as it could be given again. */
function commandLine(): string {
  const quoted = process.argv.slice(2).map((word) => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
  return `memlane ${quoted.join(' ')}`
}
