import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'ava'
import { root } from './support/error-table'

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, program), ...args], { encoding: 'utf8', timeout: 60_000 })
  return { status, stdout, stderr }
}

test('an option that makes no sense is one line on standard error and exit status 2, before anything is built or started', (t) => {
  for (const [program, ...args] of [
    ['bench/scale/run.mjs', '--processes', '1'],
    ['bench/scale/run.mjs', '--processes', '9', '--endpoints', '8'],
    ['bench/scale/run.mjs', '--endpoints', 'many'],
    ['bench/scale/run.mjs', '--rounds', '0'],
    ['bench/scale/simulate.mjs', '--peers', 'x'],
    ['bench/scale/simulate.mjs', '--seed', '-1'],
    ['bench/scale/document.mjs', '--chek'],
    ['bench/run.mjs', '--rounds', '0'],
    ['bench/run.mjs', '--contenders', 'nobody'],
    ['stress/run.mjs', '--processes', '17'],
    ['examples/run.mjs', '--verbos'],
    ['examples/run.mjs', 'nobody'],
    ['examples/weights/main.mjs', '--workers', '0'],
  ] as [string, ...string[]][]) {
    const { status, stdout, stderr } = run(program, ...args)
    t.is(status, 2, `${program} ${args.join(' ')}: ${stderr}`)
    t.is(stdout, '')
    t.regex(stderr, /^[^\n]+\n$/, program)
  }
})

test('--help of every program lists --help', (t) => {
  for (const program of ['bench/run.mjs', 'bench/docs.mjs', 'bench/plot.mjs', 'bench/micro/run.mjs', 'bench/scale/run.mjs', 'bench/scale/simulate.mjs', 'bench/scale/document.mjs', 'stress/run.mjs', 'examples/run.mjs']) {
    const { status, stdout, stderr } = run(program, '--help')
    t.is(status, 0, `${program}: ${stderr}`)
    t.regex(stdout, /^ +--help /m, program)
  }
})

test('a goal that cannot be judged is told with who was left out', (t) => {
  // As a program of its own: what is compiled for tests loads no modules of the bench.
  const { pathname } = new URL('bench/', `file://${root}/`)
  const program = `
    import { GOALS, leftOut } from ${JSON.stringify(`${pathname}goals.mjs`)}
    import { leftOutLine } from ${JSON.stringify(`${pathname}report.mjs`)}
    import { rows } from ${JSON.stringify(`${pathname}rows.mjs`)}
    const among = (takesPart) => rows(1).map(({ id, contenders }) => ({ id, contenders: contenders.filter(takesPart).map((id) => ({ id })) }))
    const lines = (measured) => GOALS.map((goal) => leftOut(goal, measured)).filter((line) => line !== null).map(leftOutLine)
    console.log(JSON.stringify([lines(among(() => true)), lines(among((id) => !id.startsWith('node-net'))), lines([])]))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  t.is(stderr, '')
  const [all, some, none] = JSON.parse(stdout) as [string[], string[], string[]]
  t.deepEqual(all, [])
  t.true(some.some((line) => line.startsWith('G5 not judged: node-net was left out (read-64B; ')), some.join('\n'))
  t.true(none.some((line) => line.startsWith('G5 not judged: memlane, raw were left out')), none.join('\n'))
})

test('what takes long in setting up tells when it begins and how long it took', (t) => {
  const { pathname } = new URL('scripts/build.mjs', `file://${root}/`)
  const program = `
    import { step } from ${JSON.stringify(pathname)}
    step('doing something', () => process.stderr.write('something\\n'))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program, join(root, 'index.ts')], { encoding: 'utf8' })
  t.is(stdout, '')
  t.regex(stderr, /^memlane: doing something\nsomething\nmemlane: done in \d+\.\d s\n$/)
})
