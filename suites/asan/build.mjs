/** The engine's tests and the addon, instrumented, in `target/asan`; and what they run under. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const TARGET = 'target/asan'
/** Where the instrumented addon lies once it is built: Node loads nothing that is not called so. */
const ADDON = join(ROOT, TARGET, 'memlane.asan.node')
export const REPORTS = join(ROOT, 'build', 'asan')

/** Why this machine cannot do it, or null. */
export function missing() {
  if (process.platform !== 'linux') return 'LeakSanitizer and the preloaded runtime are here for Linux alone'
  if (report().header.glibcVersionRuntime === undefined) return 'no sanitizer runtime that can be preloaded is packaged for musl'
  return runtime() === null ? 'no libasan.so: install gcc (Debian and Ubuntu: `apt-get install libgcc-12-dev` or later)' : null
}

const report = () => process.report.getReport()

/**
 * The sanitizer's runtime as a library of its own, gcc's. The one that rustc has is for programs that it links itself; an addon is
 * loaded by a Node that knows nothing of it, so that its runtime has to be there before Node is.
 */
function runtime() {
  const { stdout, status } = spawnSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' })
  const path = (stdout ?? '').trim()
  return status === 0 && path.startsWith('/') && existsSync(path) ? realpathSync(path) : null
}

/**
 * Builds both; the test binary and the addon. `-Zsanitizer` is for nightly compilers: `RUSTC_BOOTSTRAP=1` lets the stable one, which
 * has all that it takes, accept it. That is for this build alone, of which nothing is ever published.
 */
export function build() {
  const [host] = /(?<=^host: ).+$/m.exec(cargo('rustc', ['-vV']))
  const common = ['--target', host, '--target-dir', TARGET, '--profile', 'asan']
  const tests = cargo('cargo', ['test', '--package', 'memlane-engine', '--lib', '--no-run', '--message-format=json-render-diagnostics', ...common])
  const built = tests
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .findLast(({ reason, profile, executable }) => reason === 'compiler-artifact' && profile.test && executable)
  cargo('cargo', ['build', '--package', 'memlane-node', ...common])
  mkdirSync(join(ROOT, TARGET), { recursive: true })
  copyFileSync(join(ROOT, TARGET, host, 'asan', 'libmemlane_node.so'), ADDON)
  return { tests: built.executable, addon: ADDON }
}

function cargo(program, args) {
  const env = { ...process.env, RUSTC_BOOTSTRAP: '1', RUSTFLAGS: '-Zsanitizer=address --cfg memlane_asan' }
  const { stdout, stderr, status, error } = spawnSync(program, args, { cwd: ROOT, env, encoding: 'utf8', maxBuffer: 256 << 20 })
  if (error) throw new Error(`${program} cannot be run: ${error.message}`)
  if (status !== 0) throw new Error(`${program} ${args[0]} failed:\n${stderr}`)
  return stdout
}

/** The environment for programs that have the runtime in them; each process leaves its reports in a file that begins with `log`. */
export function watched(log) {
  const asan = [
    'detect_leaks=1',
    `log_path=${log}`,
    // What asks for more than there is gets nothing, as without the sanitizer: tests of limits do.
    'allocator_may_return_null=1',
    'max_allocation_size_mb=16384',
    // Node takes these signals for itself when it starts; their reports would be lost.
    'handle_segv=2',
    'handle_sigbus=2',
  ]
  const lsan = [`suppressions=${fileURLToPath(new URL('./leaks.txt', import.meta.url))}`, 'print_suppressions=0']
  return { ASAN_OPTIONS: asan.join(':'), LSAN_OPTIONS: lsan.join(':') }
}

/** The same for Node, which has not: the runtime goes first, and the addon is the instrumented one, in all processes that follow. */
export function watchedNode(log) {
  const { ASAN_OPTIONS, LSAN_OPTIONS } = watched(log)
  // With its own code: a process that is to end with 7 and leaks on the way does end with 7, and has a report.
  return { ASAN_OPTIONS, LSAN_OPTIONS: `${LSAN_OPTIONS}:exitcode=0`, LD_PRELOAD: runtime(), NAPI_RS_NATIVE_LIBRARY_PATH: ADDON }
}
