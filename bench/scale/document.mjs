/**
 * Writes the figures of docs/scale.md between its markers, out of the reports in bench/scale/results: `npm run scale:docs`.
 * With --check it writes nothing, and exits with status 1 where the page says something else than the reports.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { commandLine } from '../support/command-line.mjs'

const PAGE = new URL('../../docs/scale.md', import.meta.url)
const SIZES = [10, 1000, 100_000]

const HELP = `usage: npm run scale:docs -- [options]
  --check        write nothing, and exit with status 1 where docs/scale.md says something else than bench/scale/results
  --help         this text`

const options = commandLine('scale:docs', { check: { type: 'boolean' }, help: { type: 'boolean' } })
if (options.help) {
  console.log(HELP)
  process.exit(0)
}
const report = (name) => JSON.parse(readFileSync(new URL(`results/${name}.json`, import.meta.url), 'utf8'))
const small = report('simulation-200')
const large = report('simulation-10000')
const real = report('endpoints-200')

/** Resident bytes of a session; of a report whose target had connections of its own, a lane and its session as the most that it is. */
const ofSession = real.connect.target_sessions === undefined ? real.lanes.resident_per_lane : real.connect.target_resident_per_session

const whole = (value) => Math.round(value).toLocaleString('en-US')
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`
const ms = (value) => `${whole(value)} ms`
function size(bytes) {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(1)} GiB`
  return bytes >= 2 ** 20 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : kib(bytes)
}
const row = (cells) => `| ${cells.join(' | ')} |`
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

/** Why a process may have become less larger than what was asked for in it. */
const FITTED = `A listening endpoint shows less in the second column than in the first: the endpoints of a process were made one after the other, and
what they asked for went into pages that the process had already, of the allocator and of JavaScript's start. Plan with the first there.`

/** What one of each takes. */
function costs() {
  const { bytes } = large.room
  const { connect, lanes, regions, listening } = real
  const units = table(
    ['', `heap of the engine (simulation of ${whole(large.peers)})`, `resident, JavaScript included (${real.endpoints} real endpoints)`, 'descriptors'],
    [
      ['a listening endpoint with a context of its own', kib(bytes.process), kib(listening.resident_per_endpoint), '1'],
      ['a peer that is not connected', kib(bytes.peer), '', '0'],
      ["a lane, the initiator's end of a connection", kib(bytes.lane), '', '1'],
      ["a session, the target's end", kib(bytes.session), real.connect.target_sessions === undefined ? '' : kib(ofSession), '1'],
      ['a connected peer: all three, both ends together', kib(bytes.peer + bytes.lane + bytes.session), kib(connect.resident_per_peer), '2'],
      ['one more lane to the same peer, both ends together', kib(bytes.lane + bytes.session), kib(lanes.resident_per_lane), '2'],
      ['buffers of both ends, for a second after the last byte', kib(bytes.buffers), '', ''],
      ['a region of 64 bytes', '', kib(regions.resident_per_region), '0'],
      ...(connect.kernel_per_socket === null ? [] : [["the kernel's own records of a socket", '', kib(connect.kernel_per_socket), '']]),
    ]
  )
  return listening.resident_per_endpoint < bytes.process ? `${units}\n\n${FITTED}` : units
}

/** What fleets of three sizes cost, computed from the figures per unit. */
function fleets() {
  const kernelBytes = real.connect.kernel_per_socket ?? 0
  const session = ofSession + kernelBytes
  const peer = real.connect.resident_per_peer + 2 * kernelBytes
  const longest = large.restart.outages.at(-1)
  const perPeer = (count) => (value) => (value / large.peers) * count
  const star = (name, of) => [`star: ${name}`, ...SIZES.map(of)]
  const mesh = (name, of) => [`full mesh: ${name}`, ...SIZES.map(of)]
  return table(
    ['processes', ...SIZES.map(whole)],
    [
      star('descriptors of the target', (count) => whole(count)),
      star('memory of the target for them', (count) => size(count * session)),
      star('dials in the moment of a restart', (count) => whole(count)),
      star('dials a second while the target is away', (count) => whole(perPeer(count)(longest.dials_per_s_after_a_second))),
      star('the most of them within 10 ms, after a second', (count) => whole(perPeer(count)(longest.busiest_10_ms_after_a_second))),
      mesh('connections altogether', (count) => whole(count * (count - 1))),
      mesh('descriptors of each process', (count) => whole(2 * (count - 1))),
      mesh('memory of each process for them', (count) => size((count - 1) * peer)),
      ['Redis, calls a second when all are announced', ...SIZES.map((count) => whole(count * real.directory.per_name_per_s))],
    ]
  )
}

/** How everybody comes back. */
function restarts() {
  const simulated = ({ peers, restart }) =>
    restart.outages.map(({ outage_ms, dials, recovered }) => [`simulation, ${whole(peers)}`, ms(outage_ms), (dials / peers).toFixed(1), ms(recovered.p50_ms), ms(recovered.most_ms)])
  const { outage_ms, readers, dials, p50_ms, all_ms } = real.restart
  return table(
    ['', 'the target was away for', 'dials of each', 'half of them read again after', 'all of them after'],
    [
      ...simulated(small),
      ...simulated(large),
      [`sockets, ${whole(readers)}`, ms(outage_ms), (dials / readers).toFixed(1), ms(p50_ms), ms(all_ms)],
    ]
  )
}

/** What one slow peer does to the others. */
function slow() {
  const simulated = (name, key) =>
    ['nobody', 'one_slow', 'one_silent'].map((which) => {
      const { reads } = large.slow[key][which].others
      return [name, { nobody: 'none', one_slow: 'answers 400 ms late', one_silent: 'never answers' }[which], ms(reads.p50_ms), ms(reads.p99_ms), ms(reads.p99_9_ms)]
    })
  const micros = ({ median, lowest, highest }) => `${whole(median)} µs (${whole(lowest)}–${whole(highest)})`
  const measured = (which, what) => {
    const { p50_us, p99_us, p999_us } = real.stopped[which]
    return [`sockets, ${whole(real.endpoints)} endpoints`, what, micros(p50_us), micros(p99_us), micros(p999_us)]
  }
  return table(
    ['reads of 64 bytes by all others', 'the slow one', 'p50', 'p99', 'p99.9'],
    [
      ...simulated(`simulation, one reads from ${whole(large.peers)}`, 'one_reads_from_all'),
      ...simulated(`simulation, ${whole(large.peers)} read from one`, 'all_read_from_one'),
      measured('running', 'none'),
      measured('stopped', 'stopped by SIGSTOP'),
    ]
  )
}

function directory() {
  const { names, calls, seconds, per_name_per_s, busiest_100_ms } = real.directory
  return `With ${whole(names)} names announced, \`redis-server\` counted ${whole(calls)} renewals in ${seconds.toFixed(0)} seconds: ${per_name_per_s.toFixed(3)} a second for each name.
The busiest tenth of a second had ${whole(busiest_100_ms)} of them, where an even spread has ${((calls / seconds) * 0.1).toFixed(1)}.`
}

function system() {
  const { kernel, connect, regions } = real
  const besides = Math.max(...connect.processes.map(({ descriptors, sockets }) => descriptors - sockets))
  return `On the machine of these figures: \`net.core.somaxconn\` ${whole(kernel.somaxconn)}, ${whole(kernel.ephemeral_ports)} ephemeral ports, \`vm.max_map_count\` ${whole(kernel.max_map_count)}. A process had ${whole(besides)}
descriptors besides its sockets, ${connect.processes[0].threads} threads, ${connect.processes[0].io_threads} of them memlane's, however many peers it had, and ${regions.mappings_per_region} mappings for each region.`
}

function made() {
  const { machine, versions } = real
  const { p50_ms, all_ms, peers } = { ...real.connect }
  return `${machine.cpu}, ${machine.cores} cores, ${machine.kernel}; memlane ${versions.memlane}, Node ${versions.node}. The simulation of ${whole(large.peers)} has the digest
\`${large.digest}\`, that of ${whole(small.peers)} \`${small.digest}\`. To connect ${whole(peers)} peers on sockets at once, and to describe and read from each, took
${ms(all_ms)}, half of them ${ms(p50_ms)}.`
}

const SECTIONS = { costs, fleets, restarts, slow, directory, system, made }

const before = readFileSync(PAGE, 'utf8')
let after = before
for (const [name, section] of Object.entries(SECTIONS)) {
  const marked = new RegExp(`(<!-- scale:${name} -->\n)[\\s\\S]*?(<!-- /scale -->)`)
  if (!marked.test(after)) throw new Error(`docs/scale.md has no section ${name}`)
  after = after.replace(marked, (_, begin, end) => `${begin}${section()}\n${end}`)
}
if (options.check && after !== before) {
  console.error('docs/scale.md does not say what bench/scale/results says: npm run scale:docs')
  process.exit(1)
}
if (!options.check) writeFileSync(PAGE, after)
