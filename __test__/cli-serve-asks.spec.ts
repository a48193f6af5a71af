import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { TcpEndpoint, type Peer } from 'memlane'
import { run, serving, start } from './support/cli.js'
import { onLinux } from './support/linux.js'
import { files, weights, type Row } from './support/weights.js'

const tag = 0x73657276
const ACKS_BYTES = 4096

const many = (count: number, length = 0): Row[] => Array.from({ length: count }, (_, index) => [`${index}.weight`.padEnd(length, '_'), 'F16', [2, 2], 8] as Row)

async function peerAt(t: ExecutionContext, url: string): Promise<Peer> {
  const endpoint = await TcpEndpoint.listen({ maxInfoBytes: 64 << 20 })
  t.teardown(() => endpoint.close())
  return endpoint.connect(url)
}

const ask = (peer: Peer, value: object): Promise<unknown> => peer.send(Buffer.from(JSON.stringify(value)), { tag })

/** A file in memory that is written through a mapping, by which it keeps its times. */
async function mapped(t: ExecutionContext, bytes: Buffer): Promise<{ path: string; write(bytes: Buffer): void }> {
  const folder = mkdtempSync('/dev/shm/memlane-')
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'f')
  writeFileSync(path, bytes)
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const region = await endpoint.mapFile('f', path, { access: 'readwrite', unsafeBuffer: true })
  const memory = Buffer.from(region.buffer)
  // The first write through a mapping is told by the times, the ones after it are not.
  memory.set(bytes)
  const times = (): bigint[] => [statSync(path, { bigint: true })].flatMap(({ mtimeNs, ctimeNs }) => [mtimeNs, ctimeNs])
  return {
    path,
    write(other) {
      const before = times()
      memory.set(other)
      t.deepEqual(times(), before)
    },
  }
}

/** What is stored for the peer's acknowledgements and slots, once `isThere` says so. */
async function sums(peer: Peer, isThere: (sums: Buffer) => boolean): Promise<Buffer> {
  for (;;) {
    const bytes = Buffer.from(await peer.read('.memlane/sums'))
    if (isThere(bytes)) return bytes
  }
}

test('an ask that names a slot twice, or slots in another order, is none', async (t) => {
  const folder = files(t, { 'm.safetensors': weights(many(20)) })
  const { url } = await serving(t, join(folder, 'm.safetensors'))
  const peer = await peerAt(t, url)
  await ask(peer, { slots: Array.from({ length: 1000 }, () => [0, 20]), sha256: false, ack: [0, 7] })
  await ask(peer, { slots: [[0, 3], [2, 5]], sha256: false, ack: [0, 7] })
  await ask(peer, { slots: [[4, 5], [0, 3]], sha256: false, ack: [0, 7] })
  await ask(peer, { slots: [[0, 3]], sha256: false, ack: [0, 7], fresh: 1 })
  await ask(peer, { slots: [[0, 3], [3, 5], [9, 20]], sha256: true, ack: [1, 9] })
  const bytes = await sums(peer, (now) => now.readUInt32LE(4) === 9)
  t.is(bytes.readUInt32LE(0), 0)
})

test('SIGTERM ends it also with many asks under way and queued', async (t) => {
  const folder = files(t, { 'm.safetensors': weights(many(3000)) })
  const { url, running } = await serving(t, join(folder, 'm.safetensors'))
  const peer = await peerAt(t, url)
  const asks = Array.from({ length: 500 }, () => ask(peer, { slots: [[0, 3000]], sha256: true, fresh: true, ack: [1, 9] }).catch(() => undefined))
  await sums(peer, (now) => now.readUInt32LE(4) === 9)
  running.child.kill('SIGTERM')
  const { status, stdout, stderr } = await running.ended
  t.is(status, 0)
  t.regex(stdout, /served [^\n]+\n$/)
  t.is(stderr, '')
  await Promise.all(asks)
})

onLinux(test, 'files in memory keep their time when they are written through a mapping there')('a checksum is made anew for who asks for a fresh one, also where size and times are as before', async (t) => {
  const { path, write } = await mapped(t, Buffer.alloc(5000, 1))
  const sumOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  const { url } = await serving(t, path)
  const peer = await peerAt(t, url)
  const isDone = (ack: number) => (now: Buffer) => now.readUInt32LE(4) === ack && now[ACKS_BYTES] === 2 && now.readUInt32LE(ACKS_BYTES + 4) >= now.readUInt32LE(ACKS_BYTES + 8)
  const sum = (now: Buffer): string => now.toString('hex', ACKS_BYTES + 32, ACKS_BYTES + 64)
  await ask(peer, { slots: [[0, 1]], sha256: true, ack: [1, 1] })
  t.is(sum(await sums(peer, isDone(1))), sumOf(Buffer.alloc(5000, 1)))
  write(Buffer.alloc(5000, 2))
  await ask(peer, { slots: [[0, 1]], sha256: true, fresh: false, ack: [1, 2] })
  t.is(sum(await sums(peer, isDone(2))), sumOf(Buffer.alloc(5000, 1)))
  await ask(peer, { slots: [[0, 1]], sha256: true, fresh: true, ack: [1, 3] })
  t.is(sum(await sums(peer, isDone(3))), sumOf(Buffer.alloc(5000, 2)))
})

test('a reader that asks for fresh sums again and again keeps no other from having its own', async (t) => {
  const path = join(files(t, { f: Buffer.alloc(64 << 20, 1) }), 'f')
  const { url } = await serving(t, path)
  const peer = await peerAt(t, url)
  let isOver = false
  const flood = async (): Promise<void> => {
    for (; !isOver; await rest(2)) await ask(peer, { slots: [[0, 1]], sha256: true, fresh: true, ack: [1, 1] })
  }
  const flooded = flood()
  await sums(peer, (now) => now.readUInt32LE(4) === 1)
  const out = join(files(t, {}), 'out')
  // The second has its sum of what is there already, which it wants afresh.
  for (const said of [/pulled 1 region,[^\n]+verified/, /1 already there, verified/]) {
    const pulling = start(t, ['pull', url, '-o', out])
    const given = setTimeout(() => pulling.child.kill('SIGKILL'), 15_000)
    const { status, stdout, stderr } = await pulling.ended
    clearTimeout(given)
    t.deepEqual([status, stderr], [0, ''])
    t.regex(stdout, said)
  }
  isOver = true
  await flooded
})

onLinux(test, 'files in memory keep their time when they are written through a mapping there')('what is there already is compared with what the file has now, not with a sum from before', async (t) => {
  const { path, write } = await mapped(t, Buffer.alloc(5000, 1))
  const { url } = await serving(t, path)
  const out = join(files(t, {}), 'out')
  t.is((await run('pull', url, '-o', out)).status, 0)
  write(Buffer.alloc(5000, 2))
  const { status, stderr } = await run('pull', url, '-o', out, '--verify', 'required')
  t.is(status, 1)
  t.regex(stderr, /is there already, with other bytes: --force replaces it\n$/)
  write(Buffer.alloc(5000, 1))
  t.regex((await run('pull', url, '-o', out)).stdout, /1 already there, verified/)
})

test('tensors without elements have names too: the same in two files is refused with both', async (t) => {
  const folder = files(t, {
    'real.safetensors': weights([['x', 'F32', [4], 16]]),
    'empty.safetensors': weights([['x', 'F32', [0], 0], ['y', 'U8', [1], 1]]),
    'none.safetensors': weights([['x', 'F32', [0, 2], 0], ['z', 'U8', [1], 1]]),
    x: Buffer.from('plain'),
  })
  for (const [one, other] of [['real.safetensors', 'empty.safetensors'], ['empty.safetensors', 'real.safetensors'], ['empty.safetensors', 'none.safetensors'], ['x', 'empty.safetensors']] as const) {
    const { status, stderr } = await run('serve', join(folder, one), join(folder, other))
    t.is(status, 1)
    t.regex(stderr, /^memlane serve: [^\n]+ both have "x": [^\n]+\n$/)
    t.true(stderr.includes(join(folder, one)) && stderr.includes(join(folder, other)), stderr)
  }
  const { url } = await serving(t, '--prefix', join(folder, 'real.safetensors'), join(folder, 'empty.safetensors'))
  t.is((await (await peerAt(t, url)).read('real/x')).length, 16)
})

onLinux(test, 'which files are open is told by /proc there')('a file that is replaced while it starts is served as it was opened', async (t) => {
  const rows = many(3000)
  const [old, other] = [weights(rows, 'old'), weights(rows, 'other')]
  const folder = files(t, { 'm.safetensors': old, 'new.safetensors': other })
  const path = join(folder, 'm.safetensors')
  const running = start(t, ['serve', path])
  const opened = `/proc/${running.child.pid}/fd`
  const isOpen = (): boolean =>
    readdirSync(opened).some((fd) => {
      try {
        return readlinkSync(join(opened, fd)) === path
      } catch {
        return false
      }
    })
  while (!isOpen()) continue
  renameSync(join(folder, 'new.safetensors'), path)
  const [url] = await running.said(/tcp:\/\/[^\s":]+:\d+/)
  const peer = await peerAt(t, url)
  t.deepEqual(Buffer.from(await peer.read('0.weight')), old.subarray(-3000 * 8, -2999 * 8))
  t.deepEqual(Buffer.from(await peer.read('2999.weight')), old.subarray(-8))
})

test('a peer with very many long names can be looked at', async (t) => {
  const folder = files(t, { 'm.safetensors': weights(many(4000, 250)) })
  const { port } = await serving(t, join(folder, 'm.safetensors'))
  for (const command of ['inspect', 'ping']) {
    const { status, stderr } = await run(command, `127.0.0.1:${port}`, ...(command === 'ping' ? ['--count', '1'] : []))
    t.is(status, 0, stderr)
  }
})

onLinux(test, 'a program that runs may be written by nobody there')('a file that --read-write may not write is named', async (t) => {
  const folder = files(t, {})
  const path = join(folder, 'program')
  copyFileSync('/bin/sleep', path)
  chmodSync(path, 0o755)
  const program = spawn(path, ['60'])
  t.teardown(() => program.kill())
  await once(program, 'spawn')
  const { status, stderr } = await run('serve', '--read-write', path)
  t.is(status, 1)
  t.true(stderr.includes(path) && !stderr.includes('/proc/'), stderr)
})
