/** The package is loaded again and again: with an empty module cache, out of copies at other paths, and in workers. */
import { cpSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { check, passed, settings, url } from '../support.mjs'

const WORKERS = 4
const HOME = fileURLToPath(new URL('../../../', import.meta.url))
const require = createRequire(import.meta.url)

/** The package at a path, with nothing of what was loaded before: its addon's module is made anew, too. */
function load(home) {
  for (const file of Object.keys(require.cache)) delete require.cache[file]
  return require(join(home, 'dist', 'index.js'))
}

/** Everything that the package needs, at another path; the addon is another file. */
function copied() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'memlane-twice-')))
  const addons = process.env.NAPI_RS_NATIVE_LIBRARY_PATH === undefined ? readdirSync(HOME).filter((file) => file.endsWith('.node')) : []
  for (const file of ['dist', 'native.js', 'package.json', ...addons]) cpSync(join(HOME, file), join(folder, file), { recursive: true })
  // Another path to the same file: the system loads it once.
  symlinkSync(folder, `${folder}-link`)
  // And a file that workers alone load: its threads are there when the last environment that knows it has gone.
  cpSync(folder, `${folder}-workers`, { recursive: true })
  return [folder, `${folder}-link`, `${folder}-workers`]
}

/** Every one of the packages reads from and writes to every other. */
async function talk(packages) {
  const sides = await Promise.all(
    packages.map(async ({ TcpEndpoint }, index) => {
      const endpoint = await TcpEndpoint.listen()
      new Uint8Array(endpoint.alloc('held', 64, { access: 'readwrite' }).buffer).fill(index + 1)
      return { endpoint, into: endpoint.alloc('into', 64) }
    }),
  )
  for (const { endpoint, into } of sides) {
    for (const [index, other] of sides.entries()) {
      const peer = await endpoint.connect(url(other.endpoint))
      await Promise.all([peer.read('held', { into }), peer.read('held')])
      check(into.copyOut()[63] === index + 1, 'other bytes were read')
      await peer.write('held', into)
      const received = other.endpoint.recv(new Uint8Array(8))
      await peer.send(Uint8Array.of(index))
      check((await received).data[0] === index, 'another message was received')
      await peer.close()
    }
  }
  await Promise.all(sides.map(({ endpoint }) => endpoint.close()))
}

async function main() {
  const copies = copied()
  const [folder, link, ofWorkers] = copies
  let loads = 0
  const homes = [HOME, folder, link]
  try {
    for (let round = 0; round < settings.rounds; round++) {
      const packages = [...homes, ...homes].map(load)
      check(new Set(packages.map(({ TcpEndpoint }) => TcpEndpoint)).size === packages.length, 'a package was loaded once')
      await talk(packages)
      const workers = Array.from({ length: WORKERS }, (_, index) => new Worker(new URL(import.meta.url), { workerData: [ofWorkers, ...homes][index % 4] }))
      await Promise.all([
        talk(packages),
        ...workers.map(async (worker) => {
          const answer = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
          check(answer === 'talked', 'a worker has not talked')
          await worker.terminate()
        }),
      ])
      loads += packages.length + 2 * WORKERS
    }
  } finally {
    for (const path of copies.reverse()) rmSync(path, { recursive: true, force: true })
  }
  passed(`${loads} loads from three files and four paths, in this thread and in workers; all talk to each other`)
}

if (isMainThread) await main()
else {
  await talk([load(workerData), load(workerData)])
  parentPort.postMessage('talked')
}
