import { readFileSync } from 'node:fs'
import test from 'ava'
import { TcpEndpoint } from 'memlane'
import { onLinux } from './support/linux'

/** What the process has in memory, as the kernel counts it now. */
function residentBytes(): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(kib) * 1024
}

// docs/operations.md and docs/usage.md: who makes a large region takes its memory then, not when a peer comes.
onLinux(test.serial, 'the kernel is asked for resident memory')('every page of a region is in memory when alloc returns, before anybody touches it', async (t) => {
  const endpoint = await TcpEndpoint.listen()
  t.teardown(() => endpoint.close())
  const bytes = 64 << 20
  const before = residentBytes()
  endpoint.alloc('large', bytes)
  const grown = residentBytes() - before
  t.true(grown > bytes * 0.9, `grew by ${grown} bytes`)
})
