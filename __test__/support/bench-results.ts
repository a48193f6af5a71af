/** A small result of the bench, made up: figures are chosen to show something, nobody measured them. */

export interface Contender {
  id: string
  name: string
  completion?: string
  absent?: string
  figures?: Record<string, { median: number; lowest: number; highest: number; rounds: number[]; pooled?: { value: number; what: string } }>
}

export interface Results {
  machine: Record<string, unknown>
  versions: Record<string, unknown>
  goals: Record<string, unknown>[]
  rows: { id: string; title: string; completion: string; placement: string; rounds: number; contenders: Contender[] }[]
}

const PLACEMENT = 'a core each (target on cpu 0, initiator on cpu 1)'
const NAMES: Record<string, string> = { memlane: 'memlane', 'memlane:2': 'memlane, 2 lanes', raw: 'raw', 'node-net': 'node:net', nixl: 'NIXL', ucx: 'UCX <get> & "put"' }

export function contender(id: string, values: Record<string, number[]>, more: object = {}): Contender {
  const figures = Object.entries(values).map(([key, rounds]) => {
    const sorted = [...rounds].sort((one, other) => one - other)
    return [key, { median: sorted[sorted.length >> 1]!, lowest: sorted[0]!, highest: sorted.at(-1)!, rounds }] as const
  })
  return { id, name: NAMES[id] ?? id, figures: Object.fromEntries(figures), ...more }
}

export function absent(id: string, why: string): Contender {
  return { id, name: NAMES[id] ?? id, absent: why }
}

export function row(id: string, contenders: Contender[]) {
  return { id, title: `title of ${id}`, completion: 'the bytes are there', placement: PLACEMENT, rounds: 3, contenders }
}

export function goal(id: string, met: boolean, more: object = {}) {
  const value = { value: 6, unit: 'GB/s', against: { name: 'raw', value: 3 }, ratio: 2 }
  return { id, row: 'read-64MiB', by: 'memlane', ...value, absent: [], unlike: [], target: `target of ${id}`, met, ...more }
}

/** Reads: memlane wins by size, loses at 64 bytes; one contender is absent and one completes otherwise. */
export function results(): Results {
  return {
    machine: { date: '2026-01-02', cpu: 'Abacus', cores: 2, memory_gib: 8, kernel: 'Linux 6', arch: 'x64', placement: PLACEMENT },
    versions: { memlane: '0.1.0', node: '20.1.2', v8: '11', rustc: 'rustc 1.95.0 (59807616e 2026-04-14)', contenders: { memlane: '0.1.0', raw: 'rustc 1.95.0', 'node-net': null, nixl: null, ucx: '1.13.1' } },
    goals: [goal('G1', true), goal('G2', false, { ratio: 1.4, against: { name: 'node:net', value: 4.5 } })],
    rows: [
      row('read-64MiB', [
        contender('memlane', { gbps: [5.9, 6, 6.1], cpu_s_per_gb: [0.3, 0.3, 0.3] }),
        contender('memlane:2', { gbps: [7, 7, 7], cpu_s_per_gb: [0.2, 0.2, 0.2] }),
        contender('raw', { gbps: [3, 3, 3], cpu_s_per_gb: [0.5, 0.5, 0.5] }),
        contender('node-net', { gbps: [4, 4, 4], cpu_s_per_gb: [0.4, 0.4, 0.4] }),
        contender('ucx', { gbps: [9, 9, 9], cpu_s_per_gb: [0.9, 0.9, 0.9] }, { completion: 'it has left' }),
        absent('nixl', 'its wheel is not there'),
      ]),
      row('read-1MiB', [
        contender('memlane', { p50_us: [200, 210, 220], p99_ms: [0.8, 0.8, 0.8], gbps: [4, 4, 4] }),
        contender('raw', { p50_us: [300, 300, 300], p99_ms: [0.9, 0.9, 0.9], gbps: [3, 3, 3] }),
        contender('node-net', { p50_us: [350, 350, 350], p99_ms: [2.5, 2.5, 2.5], gbps: [2, 2, 2] }),
        contender('ucx', { p50_us: [450, 450, 450], p99_ms: [12, 12, 12], gbps: [1, 1, 1] }),
      ]),
      row('busy-1MiB', [
        contender('memlane', { p99_ms: [4, 4, 4], p50_ms: [0.2, 0.2, 0.2] }),
        contender('node-net', { p99_ms: [301, 301, 301], p50_ms: [0.3, 0.3, 0.3] }),
        contender('ucx', { p99_ms: [16, 16, 16], p50_ms: [0.5, 0.5, 0.5] }),
      ]),
      row('read-64B', [
        contender('memlane', { p50_us: [95, 96, 97] }),
        contender('raw', { p50_us: [80, 80, 80] }),
        contender('node-net', { p50_us: [94, 95, 96] }),
        contender('ucx', { p50_us: [14, 14, 14] }),
      ]),
    ],
  }
}
