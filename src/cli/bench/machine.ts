import os from 'node:os'
import { version } from '../version.js'

/** Where a run was made. */
export interface Machine {
  cpu: string
  cores: number
  memory_gib: number
  kernel: string
  arch: string
  node: string
  memlane: string
  /** Where the processes ran. */
  placement: string
}

export function machine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: os.availableParallelism(),
    memory_gib: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    arch: os.arch(),
    node: process.versions.node,
    memlane: version(),
    placement: 'wherever the system likes',
  }
}

/** `Intel(R) Xeon(R) Processor, 2 cores, 24 GiB, x64, Linux 6.1`. */
export function machineText({ cpu, cores, memory_gib, arch, kernel }: Machine): string {
  return `${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${memory_gib} GiB, ${arch}, ${kernel}`
}
