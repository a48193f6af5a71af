/** The targets that are JavaScript: each in a process of its own, because a crash is a finding. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import process from 'node:process'
import { root } from '../../scripts/build.mjs'
import { ProcessorClock, WORK } from './engine.mjs'

/** Beyond its time: a process that hangs is a finding as well. */
const PATIENCE_MS = 240_000

async function child(script, args, seconds) {
  const running = spawn(process.execPath, [join(root, 'suites/fuzz/javascript', script), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [said, complained] = ['', '']
  running.stdout.setEncoding('utf8').on('data', (text) => (said += text))
  running.stderr.setEncoding('utf8').on('data', (text) => (complained = (complained + text).slice(-4000)))
  const clock = new ProcessorClock(running.pid)
  const hanging = setTimeout(() => running.kill('SIGKILL'), seconds * 1000 + PATIENCE_MS)
  const [code, signal] = await new Promise((resolve) => running.on('close', (...ended) => resolve(ended)))
  clearTimeout(hanging)
  clock.stop()
  let report = {}
  try {
    report = JSON.parse(said.trim().split('\n').at(-1))
  } catch {
    // It ended before it could say anything.
  }
  const why = /^.*(?:Error|panicked).*$/m.exec(complained)?.[0] ?? complained.trim().split('\n').at(-1)
  return { ended: signal ?? code, why, report, processorSeconds: clock.seconds }
}

export async function descriptors({ seconds, seed, rounds = 0 }) {
  const args = ['--seed', String(seed), '--seconds', String(seconds), '--rounds', String(rounds)]
  const { ended, why, report, processorSeconds } = await child('descriptors.mjs', args, seconds)
  const findings = ended === 0 ? [] : [{ what: `${ended}: ${why}`.slice(0, 300), replay: `--target descriptors --seed ${seed} --seconds ${seconds}` }]
  return { executions: report.executions ?? 0, coverage: `${report.rounds ?? 0} rounds`, corpus: 0, processorSeconds, findings, seed }
}

export async function info({ seconds, seed }) {
  const { ended, why, report, processorSeconds } = await child('info-fuzz.mjs', ['--seed', String(seed), '--seconds', String(seconds), '--work', join(WORK, 'info')], seconds)
  const findings = []
  if (report.finding !== undefined) {
    const folder = join(WORK, 'info/findings')
    mkdirSync(folder, { recursive: true })
    const file = join(folder, `seed-${seed}.json`)
    writeFileSync(file, report.finding)
    findings.push({ what: report.what, replay: `--target info --replay ${relative(root, file)}` })
  } else if (ended !== 0) findings.push({ what: `${ended}: ${why}`, replay: `--target info --seed ${seed} --seconds ${seconds}` })
  return { executions: report.executions ?? 0, coverage: `${report.blocks ?? 0} blocks`, corpus: report.corpus ?? 0, processorSeconds, findings, seed }
}

/** Adds to the corpus of endpoint info what was found and reaches more. */
export function keepInfo() {
  const args = [join(root, 'suites/fuzz/javascript/info-fuzz.mjs'), '--keep', '--work', join(WORK, 'info')]
  return spawnSync(process.execPath, args, { stdio: 'inherit' }).status === 0
}
