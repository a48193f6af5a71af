import { readFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import { TcpEndpoint } from 'memlane'
import { onLinux } from './support/linux'

/** What the process has in memory, as the kernel counts it now. */
function residentBytes(): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(kib) * 1024
}

// docs/operations.md and docs/usage.md: who makes a large region takes its memory, whether or not a peer ever comes.
onLinux(test.serial, 'the kernel is asked for resident memory')('every page of a region comes into memory without anybody touching it', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const bytes = 64 << 20
  const before = residentBytes()
  endpoint.alloc('large', bytes)
  const grown = () => residentBytes() - before
  const deadline = performance.now() + 30_000
  while (grown() < bytes * 0.9 && performance.now() < deadline) await turn()
  t.true(grown() >= bytes * 0.9, `grew by ${grown()} bytes`)
})
