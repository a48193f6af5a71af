/** A registry server of our own, with everything published as a release would be. */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mainManifest, platforms } from '../../scripts/manifests.mjs'
import { runtimes } from '../lifecycle/runtimes.mjs'
import { Skipped } from './expect.mjs'
import { tools } from './tools.mjs'
import { user } from './user.mjs'

const SERVER = fileURLToPath(new URL('./registry-server.cjs', import.meta.url))
const NEEDED_NODE = 22
const PATIENCE_MS = 30_000

/** A Node that the server runs on: this one when it is new enough. */
async function newNode() {
  if (Number.parseInt(process.versions.node, 10) >= NEEDED_NODE) return process.execPath
  const [runtime] = await runtimes(['24'], false)
  if (runtime.skipped !== undefined) throw new Skipped(`the registry server needs Node ${NEEDED_NODE}: ${runtime.skipped}`)
  return runtime.binary
}

async function start(home) {
  const storage = join(home, 'registry')
  mkdirSync(storage)
  const child = spawn(await newNode(), [SERVER, await tools(), storage], { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  const port = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the registry server does not start: ${output}`)), PATIENCE_MS)
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
        const [, number] = /^port (\d+)$/m.exec(output) ?? []
        if (number !== undefined) resolve(clearTimeout(timer) ?? number)
      })
    }
    child.on('error', reject)
    child.on('close', () => reject(new Error(`the registry server ended: ${output}`)))
  })
  return { url: `http://127.0.0.1:${port}/`, stop: () => child.stdin.end() }
}

/** What npm sees of a platform that has not been built here: a package that is installed where it fits, with a file that is no binary. */
function standIn(home, platform) {
  const folder = join(home, `stand-in-${platform.name}`)
  mkdirSync(folder)
  const { os, cpu, libc, binary } = platform
  const manifest = { name: platform.package, version: mainManifest().version, main: binary, os, cpu, ...(libc && { libc }) }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, binary), 'a stand-in\n')
  return folder
}

/** Starts a server and publishes to it: the platform packages, then the main one. Those not built are stand-ins. */
export async function registry({ home, packed }) {
  const server = await start(home)
  const publisher = user({ home, name: 'publisher', registry: server.url })
  for (const platform of platforms()) {
    const built = packed.platforms.find((one) => one.platform.name === platform.name)
    publisher.succeed('npm', 'publish', built?.tarball ?? standIn(home, platform))
  }
  publisher.succeed('npm', 'publish', packed.main.tarball)
  return { ...server, built: packed.platforms.length, standIns: platforms().length - packed.platforms.length }
}
