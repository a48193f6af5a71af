/** The engine's targets: libFuzzer, linked by the machine's own stable compiler. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import process from 'node:process'
import { root } from '../../scripts/build.mjs'

/** What is built and found; the corpus that is committed lies beside this file. */
export const WORK = join(root, 'build/fuzz')
export const CORPUS = join(root, 'suites/fuzz/corpus')

/**
 * Coverage as `cargo fuzz --sanitizer none` has it. They are options of LLVM's pass and not of the compiler, so that they need no
 * unstable one.
 */
const FLAGS = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '--cfg',
  'fuzzing',
]
const MOST_BYTES = 1024
/** Of an input that is kept: they are replayed by every run of the tests, without optimisation. */
const MOST_KEPT_BYTES = 400

/** Why the engine's targets cannot be built here; undefined where they can. */
export function missing() {
  const { status } = spawnSync('c++', ['--version'], { stdio: 'ignore' })
  return status === 0 ? undefined : 'no C++ compiler, which libFuzzer needs (Debian and Ubuntu: `apt-get install g++`)'
}

/** Builds the program and returns its path; null when that fails, which cargo has told. */
export function build() {
  // With a target named, what runs while building is not instrumented.
  const host = /^host: (.+)$/m.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout)?.[1]
  const args = ['build', '--quiet', '--release', '--locked', '--manifest-path', 'suites/fuzz/Cargo.toml', '--target-dir', join(WORK, 'target'), '--target', host]
  const env = { ...process.env, CARGO_ENCODED_RUSTFLAGS: FLAGS.join('\x1f') }
  const { status } = spawnSync('cargo', args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] })
  return status === 0 ? join(WORK, 'target', host, 'release/memlane-fuzz') : null
}

const environment = (target) => ({ ...process.env, MEMLANE_FUZZ_TARGET: target, RUST_BACKTRACE: '1' })

function folder(...parts) {
  const path = join(WORK, ...parts)
  mkdirSync(path, { recursive: true })
  return path
}

/** Feeds a target; what came of it. */
export async function fuzz(program, target, seconds) {
  const [found, findings] = [folder(target, 'found'), folder(target, 'findings')]
  for (const name of readdirSync(findings)) rmSync(join(findings, name))
  const args = [found, join(CORPUS, target), `-max_total_time=${seconds}`, `-artifact_prefix=${findings}/`, `-max_len=${MOST_BYTES}`]
  // They take a millisecond each; what takes two minutes hangs, even where others want the processor.
  const child = spawn(program, [...args, '-len_control=0', '-timeout=120', '-rss_limit_mb=2048', '-print_final_stats=1'], {
    env: environment(target),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const output = new Output()
  child.stderr.setEncoding('utf8').on('data', (text) => output.take(text))
  const clock = new ProcessorClock(child.pid)
  const code = await new Promise((resolve) => child.on('close', resolve))
  clock.stop()
  const files = readdirSync(findings).map((name) => relative(root, join(findings, name)))
  if (code !== 0 && files.length === 0) throw new Error(`${target}: libFuzzer ended with ${code}\n${output.tail}`)
  return {
    executions: output.executions,
    coverage: `${output.coverage} edges`,
    corpus: new Set([...readdirSync(found), ...readdirSync(join(CORPUS, target))]).size,
    processorSeconds: clock.seconds,
    findings: files.map((file) => ({ what: output.panic, replay: `--target ${target} --replay ${file}` })),
  }
}

/** Runs one input; the exit status says whether it holds. */
export function replay(program, target, file) {
  return spawnSync(program, [file], { env: environment(target), stdio: 'inherit' }).status === 0
}

/** Replaces the corpus that is committed by the fewest inputs that reach all that it and what was found reach. */
export function keep(program, target) {
  const [merged, committed, found] = [folder(target, 'merged'), join(CORPUS, target), folder(target, 'found')]
  rmSync(merged, { recursive: true })
  mkdirSync(merged)
  const { status } = spawnSync(program, ['-set_cover_merge=1', `-max_len=${MOST_KEPT_BYTES}`, merged, committed, found], {
    env: environment(target),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) return false
  if (existsSync(committed)) rmSync(committed, { recursive: true })
  renameSync(merged, committed)
  const sizes = readdirSync(committed).map((name) => statSync(join(committed, name)).size)
  console.log(`${target}: ${sizes.length} inputs, ${sizes.reduce((sum, size) => sum + size, 0)} bytes`)
  return true
}

/** What libFuzzer tells, a line at a time. */
class Output {
  executions = 0
  coverage = 0
  panic = ''
  tail = ''

  take(text) {
    const lines = (this.tail + text).split('\n')
    for (const [index, line] of lines.slice(0, -1).entries()) {
      this.coverage = Number(/ cov: (\d+)/.exec(line)?.[1] ?? this.coverage)
      this.executions = Number(/^(?:stat::number_of_executed_units: |#)(\d+)/.exec(line)?.[1] ?? this.executions)
      if (this.panic === '' && / panicked at /.test(line)) this.panic = (lines[index + 1] ?? '').slice(0, 300)
      if (this.panic === '' && /ERROR: libFuzzer: (timeout|out-of-memory)/.test(line)) this.panic = line.slice(0, 300)
    }
    this.tail = lines.slice(-3).join('\n').slice(-4000)
  }
}

/** Seconds of processor time that a process has had, looked at while it runs. */
export class ProcessorClock {
  seconds = 0
  #timer

  constructor(pid) {
    const look = () => {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
        this.seconds = (Number(fields[11]) + Number(fields[12])) / 100
      } catch {
        // Another system, or it has ended.
      }
    }
    this.#timer = setInterval(look, 200)
  }

  stop() {
    clearInterval(this.#timer)
  }
}
