/** Handlers throw: told as any uncaught exception is. Without a handler for those the process ends by it; with one all goes on. */
import diagnostics from 'node:diagnostics_channel'
import { DIAGNOSTICS_CHANNELS, TcpEndpoint } from 'memlane'
import { check, checkEnd, endWithParent, passed, play, role, settings, until, url } from '../support.mjs'

const ERROR = 'thrown on purpose'

/** Installs a handler that throws at each call, and says how often it was called. */
const HANDLERS = {
  'peer event': (endpoint, fail) => endpoint.on('peer', fail),
  'disconnect event': (endpoint, fail) => endpoint.on('disconnect', fail),
  'messages': (endpoint, fail) => {
    void (async () => {
      for await (const message of endpoint.messages()) {
        if (message.data[0] === 1) fail()
      }
    })()
  },
  'start of an operation': (_, fail) => diagnostics.subscribe(DIAGNOSTICS_CHANNELS.start, fail),
  'end of an operation': (_, fail) => diagnostics.subscribe(DIAGNOSTICS_CHANNELS.end, fail),
  'error of an operation': (_, fail) => diagnostics.subscribe(DIAGNOSTICS_CHANNELS.error, fail),
  'then of a future': (endpoint, fail) => void endpoint.recv(new Uint8Array(8), { tag: 5 }).then(fail),
  'abort listener': (_, fail, signal) => signal.addEventListener('abort', fail),
}

async function main() {
  let count = 0
  for (let round = 0; round < settings.rounds; round++) {
    const kinds = Object.keys(HANDLERS)
    count += 2 * kinds.length
    await Promise.all(
      kinds.map(async (kind) => {
        const [ending, going] = ['ends', 'goes on'].map((how) => play(how, { args: [kind] }))
        const end = await ending.ended
        checkEnd(end, { code: 1 }, `${kind} throws, nobody catches: the process`)
        check(end.output.includes(ERROR), `${kind} throws: the process did not say what: ${end.output}`)
        checkEnd(await going.ended, { code: 0 }, `${kind} throws and is caught: the process`)
      }),
    )
  }
  passed(`${count} processes: without a handler they end with code 1 and say why, with one every operation ends all the same`)
}

async function part(kind) {
  endWithParent()
  let told = 0
  if (role === 'goes on') {
    const tell = (error) => {
      if (error.message !== ERROR) throw error
      told++
    }
    process.on('uncaughtException', tell).on('unhandledRejection', tell)
  }
  const endpoint = await TcpEndpoint.listen()
  const region = endpoint.alloc('x', 64, { access: 'readwrite' })
  const controller = new AbortController()
  HANDLERS[kind](
    endpoint,
    () => {
      throw new Error(ERROR)
    },
    controller.signal,
  )
  const initiator = await TcpEndpoint.listen()
  const peer = await initiator.connect(url(endpoint))
  const received = kind === 'messages' ? null : endpoint.recv(new Uint8Array(8))
  const given = initiator.recv(new Uint8Array(8), { signal: controller.signal })
  const operations = [
    peer.read('x'),
    peer.write('x', new Uint8Array(64).fill(9)),
    peer.read('nowhere'),
    peer.send(Uint8Array.of(1)),
    ...(kind === 'then of a future' ? [peer.send(Uint8Array.of(1), { tag: 5 })] : []),
  ]
  const ended = Promise.allSettled(operations.map((operation) => operation.wait()))
  controller.abort()
  const results = await ended
  const wrong = results.flatMap(({ status }, index) => (status === (index === 2 ? 'rejected' : 'fulfilled') ? [] : [index]))
  check(wrong.length === 0, `operations ${wrong} did not end as they should`)
  await given.wait().catch(() => {})
  await received
  check(region.copyOut()[63] === 9, 'the write is not there')
  await peer.close()
  await initiator.close()
  await endpoint.close()
  await until(() => told > 0, 'the handler throws')
}

if (role === '') await main()
else await part(process.argv[3])
