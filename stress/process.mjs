/** One of the processes of a run: a target that is made anew all the time, actors, and in every second one a worker. */
import { stat } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { TcpContext, TcpEndpoint } from 'memlane'
import { Actor } from './actor.mjs'
import { Graveyard } from './graveyard.mjs'
import { health, leaks, settled } from './health.mjs'
import { ACTORS } from './layout.mjs'
import { Ledger } from './ledger.mjs'
import { Random } from '../bench/support/random.mjs'
import { Target } from './target.mjs'
import { Traveller } from './traveller.mjs'

const [seed, number, processes] = process.argv.slice(2, 5).map(Number)
/**
 * What a soak adds: `tokens` of every connection, `pauseMs` between turns, `faulty` where connections break, `progressTimeoutMs`,
 * `visit` what travellers need to know of the process that is killed all the time.
 */
const settings = JSON.parse(process.argv[5] ?? '{}')
const PORT_ATTEMPTS = 100
/** All processes come from one address. */
const ROOM = { maxConnections: 10_000, maxConnectionsPerSource: 10_000 }
/** Whoever asks for tokens speaks the legacy wire, which has none, only where that is said. */
const DOOR = settings.tokens === undefined ? {} : { tokens: settings.tokens, legacy: true }
const PACE = settings.progressTimeoutMs === undefined ? {} : { progressTimeoutMs: settings.progressTimeoutMs }

const ledger = new Ledger(settings.faulty)
const graveyard = new Graveyard(ledger)
let over = false
let worker
let incarnation = 0
let contexts
let target
let actors
let leave
const leaving = new Promise((resolve) => (leave = resolve))

process.once('disconnect', () => process.exit(9))
process.on('uncaughtException', (error) => ledger.fail(`uncaught in process ${number}: ${error.stack}`))
process.on('unhandledRejection', (error) => ledger.fail(`unhandled in process ${number}: ${error?.stack ?? error}`))

function tell(message) {
  process.send(message)
}

/** What is made once and kept: threads of every kind, and the memory that the first use of anything takes. */
async function warmUp() {
  await Promise.all([1, 2, 3, 4].map(() => stat('.')))
  const own = new TcpContext({ ioThreads: 2 })
  for (const context of [undefined, own]) {
    const endpoint = await TcpEndpoint.listen(context === undefined ? {} : { context })
    endpoint.alloc('x', 1 << 20, { access: 'read' })
    const peer = await endpoint.connect(`tcp://127.0.0.1:${endpoint.port}`)
    await peer.read('x')
    await endpoint.close()
  }
  await own.close()
  await new Promise((resolve) => new Worker('', { eval: true }).once('exit', resolve))
}

/** A port that it can come back to: none that the system gives to whoever dials while nobody listens there. */
async function findPort() {
  const random = new Random(seed, process.pid)
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
    const port = random.between(10_240, 32_000)
    try {
      await (await TcpEndpoint.listen({ port })).close()
      return port
    } catch (error) {
      if (error.code !== 'ERR_LISTEN') throw error
    }
  }
  throw new Error(`no free port in ${PORT_ATTEMPTS} attempts`)
}

/** What it takes to be a target; the others may connect once every process has done so. */
async function open({ port }) {
  contexts = {
    target: new TcpContext({ ...ROOM, ...DOOR, ...PACE, maxUnexpectedBytes: 256 << 10, idleTimeoutMs: 2000, unexpectedTimeoutMs: 3000 }),
    initiator: new TcpContext({ ...ROOM, ...DOOR, ...PACE, ioThreads: 2, lanesPerPeer: 4, idleTimeoutMs: 300 }),
    // Without settings that is the process's own, which is never closed.
    ...(Object.keys({ ...DOOR, ...PACE }).length > 0 && { plain: new TcpContext({ ...DOOR, ...PACE }) }),
    // Nobody else has peers in it: each of its connects makes a connection.
    ...(settings.visit && { traveller: new TcpContext({ ...DOOR, ...PACE }) }),
  }
  target = new Target({ seed, process: number, processes, port, ledger, context: contexts.target, graveyard })
  await target.open()
  tell({ open: true })
}

async function work({ ports }) {
  const watching = setInterval(() => {
    ledger.failOverdue()
    tell({ progress: { ...ledger.summary, ...letters() } })
  }, 500)
  const facts = new Map()
  actors = Array.from({ length: ACTORS }, (_, actor) => {
    const context = actor % 2 === 0 ? contexts.plain : contexts.initiator
    return new Actor({ seed, process: number, actor, ports, ledger, context, graveyard, facts, pauseMs: settings.pauseMs })
  })
  const traveller = settings.visit && new Traveller({ seed, process: number, ledger, context: contexts.traveller, ports, ...settings.visit })
  const ended = () => over
  if (number % 2 === 0) startWorker(ports)
  const replace = async () => {
    if (worker === undefined) return
    await worker.terminate()
    ledger.count('worker terminated', 'ok')
    startWorker(ports)
  }
  // The target goes on until the last of the actors, anywhere, has ended.
  const targeting = target.run(() => over === 'everybody', replace)
  await Promise.all([...actors, ...(traveller === undefined ? [] : [traveller])].map((actor) => actor.run(ended)))
  await worker?.terminate()
  worker = undefined
  tell({ quiet: true })
  await targeting
  // All initiators have closed and all targets listen: what is open now was left behind by whoever dialled it.
  const left = (await settled(before.sockets + 1)) - before.sockets - 1
  if (left !== 0) ledger.fail(`process ${number} has ${left} connections when every initiator has closed`)
  tell({ settled: true })
  await leaving
  await target.close()
  await Promise.all(Object.values(contexts).map((context) => context.close()))
  graveyard.close()
  const last = letters()
  actors = target = contexts = undefined
  facts.clear()
  const after = await health()
  for (const leak of leaks(before, after)) ledger.fail(`process ${number} has ${leak}`)
  clearInterval(watching)
  tell({ done: { ...ledger.summary, health: { before, after }, ...last } })
}

/** The numbers of messages since this was asked last; none when the last were told. */
function letters() {
  if (actors === undefined) return { sent: [], received: [] }
  return { sent: actors.flatMap((actor) => actor.takeSent()), received: target.takeReceived() }
}

function startWorker(ports) {
  worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: { seed, process: number, ports, incarnation: incarnation++, options: { ...DOOR, ...PACE }, pauseMs: settings.pauseMs } })
  worker.on('message', ({ failure, kind, result }) => {
    if (failure === undefined) ledger.count(kind, result)
    else ledger.fail(failure)
  })
  worker.on('error', (error) => ledger.fail(`the worker of process ${number}: ${error.stack}`))
}

const commands = {
  open,
  work,
  stop: () => (over = 'actors'),
  finish: () => (over = 'everybody'),
  close: () => leave(),
  diagnose: () => tell({ diagnosis: { ...ledger.summary, pending: ledger.pending } }),
  measure: async () => tell({ measured: await health() }),
  leave: () => process.exit(0),
}

process.on('message', async ({ command, ...rest }) => {
  try {
    await commands[command](rest)
  } catch (error) {
    ledger.fail(`process ${number} could not ${command}: ${error.stack}`)
    tell({ broken: ledger.summary })
  }
})

await warmUp()
const port = await findPort()
const before = await health()
tell({ ready: { port } })
