/** Programs of users: each module system, one class between them, and the types as TypeScript finds them from either. */
import { join } from 'node:path'
import { root } from '../../scripts/build.mjs'

/** Works on every runtime; each prints `works`. */
export const PROGRAMS = {
  'use.mjs': `import { TcpEndpoint } from 'memlane'
const target = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
const region = target.alloc('bytes', 3, { access: 'read' })
new Uint8Array(region.buffer).set([1, 2, 3])
const initiator = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
const peer = await initiator.connect('tcp://127.0.0.1:' + target.port)
const bytes = await peer.read('bytes')
if (String(bytes) !== '1,2,3') throw new Error('read ' + bytes)
await initiator.close()
await target.close()
console.log('works')`,
  'use.cjs': `const { TcpEndpoint } = require('memlane')
async function main() {
  const target = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
  target.alloc('bytes', 3, { access: 'read' })
  const initiator = await TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
  const peer = await initiator.connect('tcp://127.0.0.1:' + target.port)
  const bytes = await peer.read('bytes')
  if (bytes.length !== 3) throw new Error('read ' + bytes.length)
  await initiator.close()
  await target.close()
  console.log('works')
}
main()`,
  'both.mjs': `import { createRequire } from 'node:module'
import * as esm from 'memlane'
import * as redis from 'memlane/redis'
const require = createRequire(import.meta.url)
for (const [cjs, imported] of [[require('memlane'), esm], [require('memlane/redis'), redis]]) {
  const names = Object.keys(cjs)
  if (names.length === 0) throw new Error('nothing is exported')
  for (const name of names) if (imported[name] !== cjs[name]) throw new Error(name + ' differs between import and require')
}
const endpoint = await esm.TcpEndpoint.listen({ host: '127.0.0.1', port: 0 })
if (!(endpoint instanceof require('memlane').TcpEndpoint)) throw new Error('an imported endpoint is no instance of the required class')
await endpoint.close()
console.log('works')`,
  'redis.mjs': `import { RedisDirectory } from 'memlane/redis'
const directory = new RedisDirectory({ call: async (command) => (command === 'GET' ? null : 'OK') })
if ((await directory.lookup('x')) !== undefined) throw new Error('a name that nobody has was found')
console.log('works')`,
}

export const TYPED = `import { TcpEndpoint, type Directory } from 'memlane'
import { RedisDirectory } from 'memlane/redis'
export const port: Promise<number> = TcpEndpoint.listen({ host: '127.0.0.1', port: 0 }).then((endpoint) => endpoint.port)
// @ts-expect-error a port is a number: this fails to compile if the package's types resolve to any
void TcpEndpoint.listen({ port: 'any' })
export const directory: Directory = new RedisDirectory({ sendCommand: async (args: string[]) => args.length })
// @ts-expect-error this is no client of Redis
void new RedisDirectory({ query: () => undefined })
`

const common = {
  target: 'ES2022',
  strict: true,
  noEmit: true,
  lib: ['ES2022', 'ESNext.Disposable'],
  types: ['node'],
  typeRoots: [join(root, 'node_modules/@types')],
}

/** Settings of TypeScript that users have, and the files that each is tried with. */
export const TYPESCRIPT = {
  node16: { compilerOptions: { ...common, module: 'Node16' }, files: ['typed.mts', 'typed.cts'] },
  nodenext: { compilerOptions: { ...common, module: 'NodeNext' }, files: ['typed.mts', 'typed.cts'] },
  bundler: { compilerOptions: { ...common, module: 'ESNext', moduleResolution: 'Bundler' }, files: ['typed.ts'] },
}

/** Prints the code and the message of what it is told; `works` when memlane loads. */
export const READS_ERROR = `import('memlane').then(() => console.log('works'), (error) => console.log(error.code + ' ' + error.message))`
