import { setMaxListeners } from 'node:events'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TcpEndpoint } from '../../../index.js'
import { command, type Call, type Values } from '../command.js'
import { diallerOptions, DIALLING, targetOf, timeoutOf } from '../credentials.js'
import { CliError, EXIT, usageError } from '../failure.js'
import { Hasher } from '../hashing/hasher.js'
import { integerOf, numberOf } from '../parse.js'
import { harmless } from '../screen.js'
import { alreadyThere, checkRoom } from './existing.js'
import { lock } from './lock.js'
import { chosen, folderPlans, safetensorsPlan, type Plan } from './plan.js'
import { Progress } from './progress.js'
import { Report } from './report.js'
import { ChangedError, Source } from './source.js'
import { Transfer } from './transfer.js'

/** A source that changes more often than this while it is pulled is left alone. */
const MOST_CHANGES = 3
/** Files that are there already, looked at at once. */
const LOOKED_AT = 16

const OPTIONS = {
  output: { type: 'string', short: 'o', value: 'DIR|FILE.safetensors', help: 'a folder for a file each, or one safetensors file for all' },
  lanes: { type: 'string', value: 'N', default: '4', help: 'connections that share the work' },
  verify: { type: 'string', value: 'WHEN', default: 'auto', help: 'SHA-256 on both sides: auto where the peer can, required, or never' },
  retry: { type: 'string', value: 'SECONDS', default: '30', help: 'how long a peer may be away in the middle' },
  force: { type: 'boolean', default: false, help: 'pulls also what is there already, and replaces it' },
  ...DIALLING,
} as const

export const pull = command({
  name: 'pull',
  summary: 'Fetches what a peer publishes into files',
  usage: '[options] tcp://HOST:PORT [NAME…] -o DIR|FILE.safetensors',
  names: [1, 100_000],
  options: OPTIONS,
  examples: ['memlane pull tcp://127.0.0.1:7400 -o weights/', "memlane pull tcp://127.0.0.1:7400 'model.layers.0.*' -o layer0.safetensors"],
  notes: ['NAME may have * for anything. What was broken off is gone on with by the same command; a file has its name when it is whole.'],
  run,
})

type PullValues = Values<typeof OPTIONS>

async function run(call: Call<typeof OPTIONS>): Promise<void> {
  const { values, names, screen, signal } = call
  const [word, ...patterns] = names as [string, ...string[]]
  if (values.output === undefined || values.output === '') throw usageError('-o says where to: a folder, or a file that ends in .safetensors')
  if (!['auto', 'required', 'never'].includes(values.verify)) throw usageError(`--verify takes auto, required or never, not ${JSON.stringify(values.verify)}`)
  const lanesPerPeer = integerOf('lanes', values.lanes, 1, 16)
  const retryMs = numberOf('retry', values.retry, 0, 86_400) * 1000
  const timeoutMs = timeoutOf(values)
  const target = targetOf(word)
  // Files that are finished wait by it, many at once.
  setMaxListeners(0, signal)
  const deadlines = { connectTimeoutMs: timeoutMs, handshakeTimeoutMs: timeoutMs, progressTimeoutMs: timeoutMs }
  const endpoint = await TcpEndpoint.listen({ ...diallerOptions(values, screen), lanesPerPeer, ...deadlines })
  try {
    const peer = await endpoint.connect(target, { timeoutMs, signal })
    const source = await Source.open(peer, values.verify !== 'never', timeoutMs, signal)
    await pullFrom(endpoint, source, patterns, values, retryMs, timeoutMs, call)
  } finally {
    await endpoint.close({ drainMs: 0 })
  }
}

/** Pulls all of it, anew where the peer changes it meanwhile. */
async function pullFrom(endpoint: TcpEndpoint, first: Source, patterns: readonly string[], values: PullValues, retryMs: number, timeoutMs: number, { screen, signal }: Call): Promise<void> {
  const output = values.output as string
  if (values.verify === 'required' && !first.isVerifying) {
    throw new CliError(`${first.label} is no memlane serve and has no checksums: --verify auto does without`, { code: 'ERR_NOT_VERIFIED', status: EXIT.mismatch })
  }
  // Nothing is made where nothing will come.
  chosen(first.catalogue, patterns, first.label)
  if (isEmpty(first)) throw nothingToRead(first)
  const report = new Report(screen, first.label, output)
  const progress = new Progress(screen)
  try {
    const held = await prepared(output)
    try {
      let source = first
      for (let changes = 0; ; changes++) {
        const hasher = values.verify === 'never' ? undefined : new Hasher()
        try {
          await pullOnce(endpoint, source, patterns, output, values.force, hasher, progress, retryMs, report, signal)
          break
        } catch (error) {
          if (!(error instanceof ChangedError)) throw error
          if (changes === MOST_CHANGES) throw new CliError(`${error.message}, again and again: pull when nobody writes there; where a served file has become shorter, start serve anew`, { code: 'ERR_CHANGED', status: EXIT.mismatch, cause: error })
          screen.note(`memlane pull: ${harmless(error.message)}: it begins anew`)
        } finally {
          await hasher?.end()
        }
        await source.peer.refresh({ timeoutMs, signal })
        source = await Source.open(source.peer, values.verify !== 'never', timeoutMs, signal)
      }
    } finally {
      held?.close()
    }
    report.end()
  } catch (error) {
    if (signal.aborted) report.interrupted(progress)
    throw error
  } finally {
    progress.end()
  }
}

const isEmpty = ({ catalogue }: Source): boolean => catalogue.items.length === 0 && catalogue.originals.size === 0
const nothingToRead = ({ label }: Source): CliError => new CliError(`${label} has nothing that may be read`, { code: 'ERR_REGION_NOT_FOUND' })
const isFile = (output: string): boolean => output.endsWith('.safetensors')

/** Not by `recursive`: below a folder that takes none, as /proc, that tries for ever in Node 20. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') {
      if ((await stat(folder)).isDirectory()) return
      throw new CliError(`${folder}: is no folder; a file for all has to end in .safetensors`)
    }
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error
    await makeFolder(dirname(folder))
    await mkdir(folder)
  }
}

/** Has a place for what comes, that nobody else writes to. */
async function prepared(output: string): Promise<Awaited<ReturnType<typeof lock>>> {
  const folder = isFile(output) ? dirname(output) : output
  if (!isFile(output)) {
    await makeFolder(folder)
  }
  await stat(folder)
  return isFile(output) ? lock(folder, output) : lock(folder)
}

async function pullOnce(
  endpoint: TcpEndpoint,
  source: Source,
  patterns: readonly string[],
  output: string,
  isForced: boolean,
  hasher: Hasher | undefined,
  progress: Progress,
  retryMs: number,
  report: Report,
  signal: AbortSignal
): Promise<void> {
  const items = chosen(source.catalogue, patterns, source.label)
  await source.choose(items)
  const all = isFile(output) ? [safetensorsPlan(items, source.catalogue, output)] : folderPlans(items, output)
  if (isEmpty(source)) throw nothingToRead(source)
  const plans: Plan[] = []
  progress.status = 'looking at what is there'
  const look = (plan: Plan) => (report.has(plan.path) ? undefined : alreadyThere(plan, source, hasher, isForced))
  for (let from = 0; from < all.length; from += LOOKED_AT) {
    const some = all.slice(from, from + LOOKED_AT)
    const found = await Promise.all(some.map(look))
    for (const [index, plan] of some.entries()) {
      const outcomes = found[index]
      if (outcomes === undefined) plans.push(plan)
      else report.wasThere(outcomes)
    }
  }
  await checkRoom(plans, isFile(output) ? dirname(output) : output)
  progress.status = undefined
  progress.done = 0
  progress.resumed = 0
  progress.total = plans.reduce((sum, { bytes }) => sum + bytes, 0)
  const transfer = new Transfer({ endpoint, source, plans, hasher, progress, retryMs, signal, tell: (text) => report.note(text), finished: (outcomes) => report.finished(outcomes) })
  await transfer.run()
}
