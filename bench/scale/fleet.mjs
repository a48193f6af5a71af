/** The processes of a fleet as their parent sees them, and what the system says of them. */
import { fork } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { caller } from '../support/channel.mjs'
import { ended } from '../support/spawn.mjs'

/** One process of the fleet. */
export class Member {
  #child
  call

  constructor(name) {
    this.#child = fork(new URL('member.mjs', import.meta.url), {
      execArgv: ['--expose-gc'],
      env: { ...process.env, MALLOC_ARENA_MAX: '2' },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    })
    this.call = caller(this.#child, name)
  }

  get pid() {
    return this.#child.pid
  }

  signal(signal) {
    this.#child.kill(signal)
  }

  /** Ends it, however it is. */
  async end() {
    this.#child.kill('SIGCONT')
    this.#child.kill('SIGKILL')
    await ended(this.#child)
  }
}

/** Descriptors, sockets and threads of a process. */
export function system(pid) {
  const descriptors = readdirSync(`/proc/${pid}/fd`)
  const isSocket = (descriptor) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${descriptor}`).startsWith('socket:')
    } catch {
      return false
    }
  }
  return {
    descriptors: descriptors.length,
    sockets: descriptors.filter(isSocket).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    io_threads: readdirSync(`/proc/${pid}/task`).filter((task) =>
      readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').startsWith('memlane-io')
    ).length,
  }
}

const PER_SOCKET = new Set(['TCP', 'sock_inode_cache', 'filp', 'eventpoll_epi'])

/** Bytes of the kernel's own records of sockets, without what is in their buffers; null where nobody may look. */
export function slabs() {
  try {
    const rows = readFileSync('/proc/slabinfo', 'utf8').split('\n').map((line) => line.split(/\s+/))
    const bytes = rows.filter(([name]) => PER_SOCKET.has(name)).map(([, , objects, size]) => Number(objects) * Number(size))
    return bytes.reduce((total, one) => total + one, 0)
  } catch {
    return null
  }
}

/** What the system needs to hold the sockets of the whole machine, as it says itself. */
export function kernel() {
  const number = (path) => readFileSync(path, 'utf8').trim().split(/\s+/).map(Number)
  const [first, last] = number('/proc/sys/net/ipv4/ip_local_port_range')
  return {
    somaxconn: number('/proc/sys/net/core/somaxconn')[0],
    ephemeral_ports: last - first + 1,
    max_map_count: number('/proc/sys/vm/max_map_count')[0],
  }
}
