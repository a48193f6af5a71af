/** Instructions of an operation of each path, counted by callgrind. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

import { SetupError, say } from '../../scripts/build.mjs'
import { build } from './cargo.mjs'

const MEASURED = 'instructions::measured'

/** The C library picks its memcpy by the processor; without these it picks the same one everywhere. */
const PLAIN_PROCESSOR = 'glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-AVX512VL,-AVX512BW,-ERMS,-FSRM'

/** Instructions an operation by name of the path, or null where there is no valgrind. */
export function count(only) {
  if (spawnSync('valgrind', ['--version']).error) return null
  const program = build('instructions')
  say('counting instructions by callgrind')
  const folder = mkdtempSync(join(tmpdir(), 'memlane-micro-'))
  try {
    const collect = ['--collect-atstart=no', `--toggle-collect=${MEASURED}`, `--dump-after=${MEASURED}`]
    const args = ['--tool=callgrind', ...collect, `--callgrind-out-file=${join(folder, 'part')}`, program, only]
    const env = { ...process.env, GLIBC_TUNABLES: PLAIN_PROCESSOR }
    const { status, stdout, stderr } = spawnSync('valgrind', args, { env, encoding: 'utf8' })
    if (status !== 0) throw new SetupError(`valgrind failed: ${stderr.trim().split('\n').at(-1)}`)
    return Object.fromEntries(instructions(stdout.split('\n').filter(Boolean), partsIn(folder)))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The instructions of each part, in the order in which they were counted. */
function partsIn(folder) {
  return readdirSync(folder)
    .map((file) => ({ number: Number(/^part\.(\d+)$/.exec(file)?.[1] ?? 0), file }))
    .filter(({ number }) => number > 0)
    .sort((a, b) => a.number - b.number)
    .map(({ file }) => readFileSync(join(folder, file), 'utf8'))
    .filter((text) => text.includes('Trigger: --dump-after='))
    .map((text) => Number(/^totals: (\d+)$/m.exec(text)[1]))
}

/** `lines` are `calls operations name`, one a path; each call is a part of its own. */
function instructions(lines, parts) {
  const paths = lines.map((line) => /^(?<calls>\d+) (?<operations>\d+) (?<name>.+)$/.exec(line).groups)
  const expected = paths.reduce((sum, { calls }) => sum + Number(calls), 0)
  if (expected === 0) throw new SetupError('no path has such a name')
  if (parts.length !== expected) throw new SetupError(`callgrind told of ${parts.length} calls, and there were ${expected}`)
  let at = 0
  return paths.map(({ calls, operations, name }) => {
    const total = parts.slice(at, (at += Number(calls))).reduce((sum, part) => sum + part, 0)
    return [name, total / (Number(calls) * Number(operations))]
  })
}
